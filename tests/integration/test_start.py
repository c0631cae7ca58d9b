"""``python -m sandbox start``, as a user runs it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import gettempdir

import pytest

from sandbox.processes import ROOT, Process, free_port, running
from sandbox.serving import listen

WITHIN = 120.0
WIDTH = 80
READY = r"^# Ctrl-C here ends"


@asynccontextmanager
async def started(log: Path, *options: str) -> AsyncIterator[Process]:
    command = (sys.executable, "-m", "sandbox", "start", "--items", "20", *options)
    async with running(*command, log=log, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        yield process


def kept() -> set[str]:
    """The settings files of all starts."""
    return {str(file) for file in Path(gettempdir()).glob("avepoint-functions-*/local.settings.json")}


async def ask(process: Process, path: str) -> dict[str, object]:
    """What the app of a start answers, asked with the words that it printed."""
    url, key = re.findall(r"^export APP=(\S+) KEY=(\S+)$", process.output(), re.MULTILINE)[0]
    command = (
        "curl",
        "-s",
        "-o",
        os.devnull,
        "-w",
        "%{http_code}",
        "-H",
        f"x-functions-key: {key}",
        f"{url}/api/{path}",
    )
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    return {"status": output.decode()}


async def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with closing(listen(0)) as listener:
        taken = listener.getsockname()[1]
        async with started(tmp_path / "log", "--port", str(taken)) as process:
            assert await process.ended(within=WITHIN) == 1
    assert "Starting" not in process.output()
    assert f"port {taken} of 127.0.0.1 cannot be used" in process.output()
    assert f"make start PORT={taken + 1}" in process.output()


@pytest.mark.parametrize("options", [("--port", "70000"), ("--port", "x"), ("--items", "-5")])
async def test_options_that_cannot_be_are_refused_in_a_sentence(tmp_path: Path, options: tuple[str, str]) -> None:
    async with started(tmp_path / "log", *options) as process:
        assert await process.ended(within=WITHIN) == 2
    assert f"argument {options[0]}:" in process.output()
    assert "Traceback" not in process.output()


@pytest.mark.slow
async def test_two_starts_do_each_other_no_harm(tmp_path: Path) -> None:
    """Two starts, and a third that is refused: each app is well to the end, with settings of its own."""
    one, two = str(free_port()), "0"
    async with started(tmp_path / "one", "--port", one) as first, started(tmp_path / "two", "--port", two) as second:
        for process in (first, second):
            await process.printed(READY, within=WITHIN)
        async with started(tmp_path / "three", "--port", one) as third:
            assert await third.ended(within=WITHIN) == 1
        for process in (first, second):
            assert await ask(process, "health") == {"status": "200"}
        files = [re.findall(r"^export SETTINGS=(\S+)$", one.output(), re.MULTILINE)[0] for one in (first, second)]
        assert len(set(files) & kept()) == 2
        doctor = (sys.executable, "-m", "shared.doctor", "--settings", files[0])
        async with running(*doctor, log=tmp_path / "doctor") as examined:
            assert await examined.ended(within=WITHIN) == 0, examined.output()
        first.signal(signal.SIGINT)
        assert await first.ended(within=WITHIN) == 0
        assert files[0] not in kept()
        assert await ask(second, "health") == {"status": "200"}
    assert "Traceback" not in first.output() + second.output()
    wide = [line for line in first.output().splitlines() if len(line) > WIDTH and not line.startswith("export ")]
    assert wide == []
