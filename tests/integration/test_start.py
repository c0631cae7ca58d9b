"""``python -m sandbox start``, as a user runs it."""

import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import gettempdir

import httpx
import pytest

from sandbox.processes import ROOT, Process, free_port, running
from sandbox.serving import listen
from tests.waiting import until

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


async def well(process: Process) -> None:
    """Wait until the app of a start is well: its first answer on a busy machine may say that something is late."""
    url = re.findall(r"^export APP=(\S+) KEY=\S+$", process.output(), re.MULTILINE)[0]

    async def answers() -> bool:
        return (await probe.get(f"{url}/api/health")).status_code == httpx.codes.OK

    async with httpx.AsyncClient(timeout=WITHIN) as probe:
        await until(answers, within=WITHIN)


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
            await well(process)
        files = [re.findall(r"^export SETTINGS=(\S+)$", one.output(), re.MULTILINE)[0] for one in (first, second)]
        assert len(set(files) & kept()) == 2
        doctor = (sys.executable, "-m", "shared.doctor", "--settings", files[0])
        async with running(*doctor, log=tmp_path / "doctor") as examined:
            assert await examined.ended(within=WITHIN) == 0, examined.output()
        first.signal(signal.SIGINT)
        assert await first.ended(within=WITHIN) == 0
        assert files[0] not in kept()
        await well(second)
    assert "Traceback" not in first.output() + second.output()
    wide = [line for line in first.output().splitlines() if len(line) > WIDTH and not line.startswith("export ")]
    assert wide == []
