"""Ctrl-C, as it is pressed on a terminal, at every stage: an end within seconds, one line, and nothing left behind."""

import asyncio
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from sandbox.__main__ import main
from sandbox.demo.keeping import whole_or_gone
from sandbox.processes import Process
from tests.terminal import CTRL_C, on_a_terminal, terminal

WITHIN = 600.0
SOON = 120.0
SANDBOX = (sys.executable, "-m", "sandbox")
DEMO = (*SANDBOX, "demo", "--items", "20", "--latency-ms", "0")
START = (*SANDBOX, "start", "--items", "20", "--port", "0")
ENDED = {"demo": "Interrupted: everything that was started has ended.", "start": "Ended. The stored data is deleted."}
MARK = "SANDBOX_MARK"


@contextmanager
def nothing_left(folder: Path) -> Iterator[dict[str, str]]:
    """Give an environment; in the end no process has it any more, and its folder for temporary files is empty."""
    temporary, mark = folder / "temporary", uuid4().hex
    temporary.mkdir()
    yield {MARK: mark, "TMPDIR": str(temporary)}
    assert processes(mark) == []
    assert [*temporary.iterdir()] == []


def processes(mark: str) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process.cmdline())
    return found


def said(shown: str) -> list[str]:
    """What came after Ctrl-C."""
    return [line for line in shown.rpartition("^C")[2].splitlines() if line.strip()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage",
    [
        "^Starting: Storage",
        "^Starting: The app",
        "^The first night",
        r"enpower .* [1-9]\d* items",
        "^The second night",
        "^Opus: ",
        "make start$",
    ],
)
async def test_the_demo_ends_at_every_stage(tmp_path: Path, stage: str) -> None:
    """What it should keep is there as a whole or not at all; an impatient second Ctrl-C changes nothing."""
    kept = tmp_path / "kept"
    with nothing_left(tmp_path) as environ:
        async with terminal(*DEMO, "--keep", kept, environ=environ) as demo:
            await demo.shows(stage, within=WITHIN)
            demo.press(CTRL_C)
            demo.press(CTRL_C)
            assert await demo.ended(within=SOON) == 130, demo.shown
    assert said(demo.shown)[-1:] == [ENDED["demo"]]
    assert "Traceback" not in demo.shown
    if kept.exists():
        assert {file.name for file in kept.iterdir()} >= {"status.html", "inventory", "tables", "opus-evidence"}


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["^Starting: Storage", "^Starting: The app", "^Ready in", "Ctrl-C here ends"])
async def test_a_start_ends_at_every_stage(tmp_path: Path, stage: str) -> None:
    with nothing_left(tmp_path) as environ:
        async with terminal(*START, environ=environ) as start:
            await start.shows(stage, within=WITHIN)
            start.press(CTRL_C)
            assert await start.ended(within=SOON) == 0, start.shown
    assert said(start.shown)[-1:] == [ENDED["start"]]
    assert "Traceback" not in start.shown


@pytest.mark.slow
async def test_a_start_ends_while_it_harvests(tmp_path: Path) -> None:
    command = (*START, "--latency-ms", "2000")
    with nothing_left(tmp_path) as environ:
        async with terminal(*command, environ=environ) as start:
            await start.shows("Ctrl-C here ends", within=WITHIN)
            ((url, key),) = re.findall(r"^export APP=(\S+) KEY=(\S+)$", start.shown, re.MULTILINE)
            async with httpx.AsyncClient(headers={"x-functions-key": key}, timeout=WITHIN) as client:
                started = await client.post(f"{url}/api/harvests", json={"source": "graph"})
            assert started.status_code == httpx.codes.ACCEPTED
            start.press(CTRL_C)
            assert await start.ended(within=SOON) == 0, start.shown
    assert said(start.shown) == [ENDED["start"]]


@pytest.mark.parametrize("target", ["demo", "start"])
async def test_make_ends_too(tmp_path: Path, target: str) -> None:
    """Ctrl-C reaches make and the program alike: one line of the program, and make's own word on it."""
    ready = ("-o", ".venv/ready", "-o", "node_modules/ready")
    options = ("PORT=0",) if target == "start" else (f"KEEP={tmp_path / 'kept'}",)
    with nothing_left(tmp_path) as environ:
        async with terminal("make", *ready, target, *options, environ=environ) as make:
            await make.shows("^Starting: Storage", within=WITHIN)
            make.press(CTRL_C)
            assert await make.ended(within=SOON) != 0
    assert [line for line in said(make.shown) if not re.match(r"make(\[\d+\])?: ", line)] == [ENDED[target]]
    assert not (tmp_path / "kept").exists()


async def test_it_is_said_that_nothing_was_started_yet() -> None:
    """Ctrl-C while Python still loads the command."""
    early = "import importlib, runpy, signal; importlib.import_module = lambda _: signal.raise_signal(signal.SIGINT)"
    command = (sys.executable, "-c", f"{early}; runpy.run_module('sandbox', run_name='__main__')", "demo")
    assert await on_a_terminal(*command) == (130, "Interrupted: nothing was started.\n")


@pytest.mark.parametrize(("command", "status"), [("demo", "130 Ctrl-C"), ("start", "0 Ctrl-C")])
def test_the_exit_status_of_ctrl_c_is_documented(capsys: pytest.CaptureFixture[str], command: str, status: str) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert status in capsys.readouterr().out


@pytest.mark.parametrize("ends", [None, KeyboardInterrupt, asyncio.CancelledError, OSError])
def test_what_was_not_finished_is_taken_away(tmp_path: Path, ends: type[BaseException] | None) -> None:
    with suppress(BaseException), whole_or_gone(tmp_path / "kept"):
        (tmp_path / "kept" / "half").write_text("of it")
        if ends:
            raise ends
    assert (tmp_path / "kept" / "half").exists() == (ends is None)
    assert (tmp_path / "kept").exists() == (ends is None)


async def test_a_process_ends_although_nobody_waits_for_its_end_any_more(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    process = await Process.start(sys.executable, "-c", deaf, log=tmp_path / "log")
    await process.printed("^ready$", within=WITHIN)
    stopping = asyncio.create_task(process.stop(within=WITHIN))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert process.child.returncode == -signal.SIGKILL
