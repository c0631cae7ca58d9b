"""docs/migrating.md is what the catalogue says, and its commands do what it says."""

import asyncio
import json
import os
import re
import shlex

import pytest

from sandbox.processes import ROOT
from shared.avepoint.catalog import catalog
from shared.harvest.compare import STATUS, replaced
from shared.harvest.plan.choosing import configured
from shared.harvest.runs.starting import start_requested
from shared.services import Services
from shared.settings import load_settings
from tests.conftest import Simulator
from tests.harvest.conftest import finish

TEXT = (ROOT / "docs" / "migrating.md").read_text()
COMMANDS = re.findall(r"^(\./avepoint .*)$", TEXT, re.MULTILINE)
BODIES = [json.loads(body) for body in re.findall(r"`POST /api/harvests` `(\{.*?\})`", TEXT)]
SAMPLE = re.findall(r"^```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[0].splitlines()


def test_the_table_names_every_successor_and_its_id() -> None:
    rows = [tuple(re.findall(r"`([^`]+)`", line)) for line in TEXT.splitlines() if "| `enpower-" in line]
    assert rows == [
        (name, one.successor, *one.key, *catalog()["graph", one.successor or ""].key)
        for name, one in replaced().items()
    ]


def test_both_sides_take_the_permission_that_is_named() -> None:
    successors = [catalog()["graph", one.successor or ""] for one in replaced().values()]
    (scope,) = {dataset.scope for dataset in (*replaced().values(), *successors)}
    assert f"(`{scope}`)" in TEXT


def test_the_exit_statuses_are_those_of_the_command() -> None:
    listed = re.findall(r"^\| (\d) \| `(\w+)` \|", TEXT, re.MULTILINE)
    assert {state: int(status) for status, state in listed} == STATUS


def test_an_empty_list_switches_the_harvest_off(environ: dict[str, str]) -> None:
    assert configured(load_settings(environ | {"HARVEST_ENPOWER_DATASETS": ""}), "enpower") == []


@pytest.fixture
async def harvested(services: Services, avepoint: Simulator) -> None:
    """Both sides, harvested with the requests of the page."""
    avepoint.avepoint.change({"items": 12})
    for body in BODIES:
        run = await start_requested(services, body["source"], body["datasets"])
        for address in run.addresses():
            await finish(services, address)


@pytest.mark.usefixtures("harvested")
async def test_the_commands_run_and_find_nothing_missing(environ: dict[str, str]) -> None:
    ended = await asyncio.gather(*(ran(command, environ) for command in COMMANDS))
    assert [status for status, _ in ended] == [0] * len(COMMANDS), ended
    everything, some, for_programs = (printed for _, printed in ended)
    assert [labelled(line) for line in everything.splitlines()[: len(SAMPLE)]] == [*map(labelled, SAMPLE)]
    assert everything.count(": same\n") == len(replaced())
    assert some.count(": same\n") == 2
    renamed = {one["dataset"]: one["differences"]["fieldsRenamed"] for one in json.loads(for_programs)["value"]}
    assert renamed.keys() == replaced().keys()
    assert all(new == old[0].lower() + old[1:] for names in renamed.values() for old, new in names.items())


async def ran(command: str, environ: dict[str, str]) -> tuple[int | None, str]:
    """The exit status of a command of the page, and what it prints."""
    program, *arguments = shlex.split(command)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, *arguments, cwd=ROOT, env=os.environ | environ, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


def labelled(line: str) -> str:
    """A line of the report up to its first colon."""
    return line.partition(":")[0]
