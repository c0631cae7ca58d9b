import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox.processes import START_SECONDS, running, sandbox_command
from tests.sandbox.host.conftest import App, write_app

pytestmark = pytest.mark.slow

TIMER = """
@app.timer_trigger("timer", "{schedule}")
async def nightly(timer: func.TimerRequest) -> None: ...
"""
QUEUE = """
@app.queue_trigger("message", "%QUEUE%", "STORE")
async def take(message: func.QueueMessage) -> None: ...
"""
ROUTES = """
@app.route("things/{id}", methods=["GET", "POST"])
async def one(req: func.HttpRequest) -> func.HttpResponse: ...

@app.route("Things/{name}", methods=["POST"])
async def other(req: func.HttpRequest) -> func.HttpResponse: ...
"""
SAME_NAME = """
@app.function_name("twin")
@app.route("one")
async def one(req: func.HttpRequest) -> func.HttpResponse: ...

@app.function_name("twin")
@app.route("other")
async def other(req: func.HttpRequest) -> func.HttpResponse: ...
"""
BLOB_OUTPUT = """
@app.route("copy")
@app.blob_output("out", "a/b", "STORE")
async def copy(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse: ...
"""
BLOB_TRIGGER = """
@app.blob_trigger("blob", "a/b", "STORE")
async def watch(blob: func.InputStream) -> None: ...
"""
BAD_ANNOTATION = """
@app.route("typed")
async def typed(req: int) -> func.HttpResponse: ...
"""


@dataclass(frozen=True, slots=True)
class Case:
    """An app that cannot start, and what its last line must hold."""

    source: str | None
    says: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    host_json: str | None = None


CASES = {
    "no function_app.py": Case(None, ("function_app.py",)),
    "no function": Case("", ("defines no function",)),
    "import error": Case("import nowhere_to_be_found", ("function_app.py", "nowhere_to_be_found")),
    "wrong annotation": Case(BAD_ANNOTATION, ("typed", "req")),
    "same name twice": Case(SAME_NAME, ("twin",)),
    "same route twice": Case(ROUTES, ("one", "other", "hings/{")),
    "bad schedule": Case(TIMER.format(schedule="0 0 2 * *"), ("nightly", "0 0 2 * *")),
    "bad schedule setting": Case(
        TIMER.format(schedule="%NIGHTLY%"), ("nightly", "setting NIGHTLY", "'L' is no day"), {"NIGHTLY": "0 0 2 L * *"}
    ),
    "missing schedule setting": Case(TIMER.format(schedule="%NIGHTLY%"), ("nightly", "NIGHTLY")),
    "missing queue setting": Case(QUEUE, ("take", "QUEUE"), {"STORE": "UseDevelopmentStorage=true"}),
    "missing connection": Case(QUEUE, ("take", "STORE", "STORE__queueServiceUri"), {"QUEUE": "q"}),
    "wrong connection": Case(QUEUE, ("take", "STORE"), {"QUEUE": "q", "STORE": "nonsense"}),
    "unknown output": Case(BLOB_OUTPUT, ("copy", "out", "blob")),
    "unknown trigger": Case(BLOB_TRIGGER, ("watch", "blobTrigger")),
    "bad host.json": Case("", ("host.json", "batchSize"), host_json='{"extensions": {"queues": {"batchSize": 99}}}'),
}


@pytest.fixture(scope="module")
async def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit status and output of every case; two at a time, since starting is what takes the time."""
    both = asyncio.Semaphore(2)

    async def ending(case: Case) -> tuple[int, str]:
        app = _prepare(tmp_path_factory.mktemp("app"), case)
        command = sandbox_command("host", "--port", "0", "--app", app.path)
        async with both, running(*command, env=app.environment(**case.settings), log=app.log) as process:
            return await process.ended(within=START_SECONDS), process.output()

    return dict(zip(CASES, await asyncio.gather(*map(ending, CASES.values())), strict=True))


def _prepare(path: Path, case: Case) -> App:
    app = write_app(path, case.source or "")
    if case.source is None:
        (path / "function_app.py").unlink()
    if case.host_json is not None:
        (path / "host.json").write_text(json.dumps({"version": "2.0", **json.loads(case.host_json)}))
    return app


@pytest.mark.parametrize("name", CASES)
def test_an_app_that_cannot_start_ends_with_status_1_and_one_clear_line(
    endings: dict[str, tuple[int, str]], name: str
) -> None:
    status, output = endings[name]
    last = output.splitlines()[-1]
    assert status == 1
    assert last.startswith("error: ")
    assert [word for word in CASES[name].says if word not in last] == []


def test_an_import_error_shows_its_traceback(endings: dict[str, tuple[int, str]]) -> None:
    assert "import nowhere_to_be_found" in endings["import error"][1]
