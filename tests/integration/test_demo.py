"""The demo, as a user runs it: on a terminal of 80 columns."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from sandbox.demo.harvest import TABLED
from sandbox.processes import running
from tests.terminal import on_a_terminal, too_wide, without_controls

WIDTH = 80
DEMO = (sys.executable, "-m", "sandbox", "demo", "--items", "120", "--latency-ms", "0")


@pytest.fixture(scope="module")
async def shown(kept: Path) -> str:
    status, output = await on_a_terminal(*DEMO, "--keep", str(kept), width=WIDTH)
    assert status == 0, output
    return without_controls(output)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "kept"


@pytest.mark.parametrize(
    "dataset", ["enpower/powerapps", "graph/enpower-powerapps", "graph/aos-jobs", "elements/customers"]
)
def test_the_table_shows_every_source(shown: str, dataset: str) -> None:
    row = next(line for line in shown.splitlines() if line.startswith(f"{dataset} "))
    assert " 120 " in row
    assert "complete" in row


def test_opus_did_what_was_asked(shown: str) -> None:
    for outcome in ("39 of 40 submitted", "Term not found", "39 destroyed", "the same answer, nothing sent", "0 due"):
        assert outcome in shown


def test_it_shows_what_changed_between_two_nights(shown: str) -> None:
    found = re.findall(r"^\w+/[\w-]+ +(\d+) +(\d+) +(\d+) +(\d+) *$", shown, re.MULTILINE)
    rows = [tuple(map(int, row)) for row in found]
    assert len(rows) == len(TABLED)
    assert all(items == 120 + added - removed for items, added, removed, _ in rows)
    assert all(any(row[kind] for row in rows) for kind in (1, 2, 3))


def test_no_line_is_wider_than_the_terminal(shown: str, kept: Path) -> None:
    assert [line for line in too_wide(shown, WIDTH) if str(kept) not in line] == []


def test_it_keeps_what_it_made(shown: str, kept: Path) -> None:
    assert str(kept / "status.html") in shown
    assert {file.name for file in kept.iterdir()} >= {"status.html", "inventory", "tables", "opus-evidence"}
    assert (kept / "inventory/latest/graph/enpower-powerapps.json").is_file()


async def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    status, output = await on_a_terminal(*DEMO, "--keep", str(tmp_path))
    assert status == 2
    assert "not an empty folder" in output


async def test_ctrl_c_ends_a_harvest_within_seconds_without_a_traceback(tmp_path: Path) -> None:
    command = (*DEMO[:-1], "2000")  # AvePoint takes two seconds for each answer, so that the harvest is at work
    async with running(*command, log=tmp_path / "log", env={**os.environ, "PYTHONUNBUFFERED": "1"}) as demo:
        await demo.printed("The first night", within=120)
        demo.signal(signal.SIGINT)
        assert await demo.ended(within=120) == 128 + signal.SIGINT
    assert "Interrupted" in demo.output()
    assert "Traceback" not in demo.output()
