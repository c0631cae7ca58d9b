"""The demo, as a user runs it."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


async def demo(*arguments: str) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "demo", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    return child.returncode or 0, output.decode()


@pytest.fixture(scope="module")
async def shown() -> tuple[int, str]:
    return await demo("--items", "120", "--latency-ms", "0")


def test_it_ends_well(shown: tuple[int, str]) -> None:
    status, output = shown
    assert status == 0, output


@pytest.mark.parametrize(
    "dataset", ["enpower/powerapps", "graph/enpower-powerapps", "graph/aos-jobs", "elements/customers"]
)
def test_the_table_shows_every_source(shown: tuple[int, str], dataset: str) -> None:
    row = next(line for line in shown[1].splitlines() if f" {dataset} " in line)
    assert " 120 " in row
    assert "complete" in row
    assert f"raw/{dataset}/date=" in row


def test_opus_did_what_was_asked(shown: tuple[int, str]) -> None:
    for outcome in ("39 of 40 submitted", "Term not found", "39 destroyed", "the same answer, nothing sent", "0 due"):
        assert outcome in shown[1]
