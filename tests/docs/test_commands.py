"""Every command of the pages: those that need Azure are at least well formed, all others do what the page says."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sandbox.azurite import Azurite
from sandbox.host.process import running_host
from sandbox.processes import ROOT
from shared.settings import Settings
from tests.conftest import Simulator, app_settings
from tests.docs.fences import PAGES, answers, commands, shows, shows_lines
from tests.require import require

OPERATIONS = ROOT / "docs" / "operations.md"
WALKED = (ROOT / "docs" / "first-deployment.md", OPERATIONS, ROOT / "docs" / "first-hour.md")
WITH_COMMANDS = [page for page in PAGES if commands(page)]
WITH_TESTS_OF_THEIR_OWN = {"adding.md", "restoring.md", "migrating.md", "flows.md", "capacity.md"}
INFRA = ROOT / "infra"
SETTINGS = {field.alias for field in Settings.model_fields.values()}
OF_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_RESOURCE_GROUP", "AZURE_SUBSCRIPTION_ID"}


def scripts(page: Path) -> str:
    return "\n".join(fence.body for fence in commands(page))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_commands_are_well_formed(page: Path) -> None:
    """All of a page at once, for what one fence sets another uses; APP and KEY are what ``make start`` prints."""
    script = f"#!/usr/bin/env bash\nAPP=${{APP:-}} KEY=${{KEY:-}}\n{scripts(page)}"
    command = [str(Path(sys.executable).parent / "shellcheck"), "--color=never", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)  # noqa: S603 - our own text
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_names_of_the_deployment_exist(page: Path) -> None:
    """Outputs that are read, variables that are set, and parameters, all as infra/ has them."""
    template, parameters = (INFRA / "main.bicep").read_text(), (INFRA / "main.bicepparam").read_text()
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", parameters))
    text = scripts(page)
    for output in re.findall(r"azd env get-value (\w+)", text):
        assert f"output {output} " in template, output
    for variable in re.findall(r"azd env set (\w+)", text):
        assert variable in read | OF_AZD, variable
    for parameter in re.findall(r"--parameters (\w+)=", text):
        assert f"param {parameter} " in template, parameter


def test_choices_of_the_deployment_exist() -> None:
    """The days that the text of the page names as kinds of ``RETENTION_DAYS``, and the settings that it gives."""
    template, text = (INFRA / "main.bicep").read_text(), OPERATIONS.read_text()
    defaults = {"raw": "rawDeleteAfterDays", "deleted": "softDeleteDays"}
    named = re.findall(r"(\d+) days \(`(\w+)`", text)
    assert {kind for _, kind in named} == defaults.keys()
    for days, kind in named:
        assert f"param {defaults[kind]} int = {days}\n" in template
    given = re.findall(r'"([A-Z_]+)": "', text)
    assert given
    assert set(given) <= SETTINGS


def test_no_page_has_commands_that_nobody_runs() -> None:
    runnable = {page.name for page in WITH_COMMANDS if any(not one.needs_azure for one in commands(page))}
    assert runnable <= {page.name for page in WALKED} | WITH_TESTS_OF_THEIR_OWN


@pytest.mark.slow
async def test_the_answers_are_those_of_the_page(
    azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The pages walked through as a new user would, in one shell, against the local host."""
    for program in ("curl", "jq"):
        require(program, why="the pages use it")
    simulator.avepoint.calm()
    values = app_settings(azurite, simulator)
    settings = {**os.environ, **values}
    file = tmp_path_factory.mktemp("settings") / "local.settings.json"
    file.write_text(json.dumps({"Values": values}))
    shown = [one for page in WALKED for one in answers(page)]
    async with running_host(log=tmp_path_factory.mktemp("host") / "host.log", env=settings) as host:
        printed = await walk(
            [fence.body for fence, _ in shown],
            {
                **settings,
                "APP": host.url,
                "KEY": host.key,
                "SETTINGS": str(file),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        )
    came_of = {fence.body: came for (fence, _), came in zip(shown, printed, strict=True)}
    assert names_by_route(came_of) == names_by_command(came_of)
    for (fence, answer), came in zip(shown, printed, strict=True):
        if answer is not None and answer.info == ("json",):
            assert shows(json.loads(answer.body), json.loads(came)), f"{fence.body}\n{came[:2000]}"
        elif answer is not None:
            assert shows_lines(answer.body, came), f"{fence.body}\n{came[:2000]}"


def names_by_route(came_of: Mapping[str, str]) -> list[str]:
    """The checks in the details of health."""
    details = next(came for body, came in came_of.items() if "/health/details" in body)
    return [check["name"] for check in json.loads(details)["checks"]]


def names_by_command(came_of: Mapping[str, str]) -> list[str]:
    """The checks in the report of the doctor, which ends with a line for all of them."""
    report = next(came for body, came in came_of.items() if "avepoint doctor" in body)
    return [line.split()[1] for line in report.splitlines()[:-1]]


async def walk(bodies: Sequence[str], environ: dict[str, str]) -> list[str]:
    """Run scripts one after the other in one shell; what each of them printed."""
    script = "".join(f"{body}\nprintf '\\0'\n" for body in bodies)
    child = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(child.communicate(), timeout=90)
    assert child.returncode == 0, errors.decode() + output.decode()
    return output.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ({"a": [{"b": "z"}]}, {"a": [{"b": "y"}, {"b": "x"}]}, False),
        ({"a": "2026-…"}, {"a": "2026-01-01"}, True),
        ({"a": "2027-…"}, {"a": "2026-01-01"}, False),
        ({"a": True}, {"a": 1}, False),
    ],
)
def test_what_a_page_may_leave_out(shown: object, came: object, *, same: bool) -> None:
    assert shows(shown, came) is same


def test_lines_come_in_order() -> None:
    assert shows_lines("ok  a …\nok  c …", "ok     a  well\nok     b  well\nok     c  well")
    assert not shows_lines("ok  c …\nok  a …", "ok     a  well\nok     c  well")
