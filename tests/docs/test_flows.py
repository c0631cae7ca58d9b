"""docs/flows.md and the connector say the same."""

import json
import os
import re
from pathlib import Path
from typing import get_args

import httpx
import pytest

from sandbox.host.process import RunningHost, running_host
from sandbox.processes import ROOT
from shared.harvest.runs.state import RunState
from shared.opus.ledger.documents import Status
from shared.settings import Settings
from tests.connector.reading import OPERATIONS, PARAMETERS, SWAGGER, SWAGGER_FILE
from tests.docs.fences import answers, shows, shows_lines
from tests.require import require
from tests.terminal import on_a_terminal, too_wide, without_controls
from tools.connector.properties import CLIENT_ID, OWNER, RESOURCE
from tools.connector.swagger import CONTACT, HOST

PAGE = Path(__file__).parents[2] / "docs" / "flows.md"
TEXT = PAGE.read_text()
VERBS = {operation["summary"].partition(" ")[0] for operation in OPERATIONS.values()}
SETTINGS = {field.alias for field in Settings.model_fields.values()}


def rows(heading: str) -> list[list[str]]:
    """The table below a heading, without its head."""
    section = re.split(r"^#+ ", TEXT.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def test_every_action_is_there_with_its_call() -> None:
    shown = {
        operation["summary"]: f"`{method.upper()} {SWAGGER['basePath']}{path}`"
        for path, operations in SWAGGER["paths"].items()
        for method, operation in operations.items()
        if operation.get("x-ms-visibility") != "internal"
    }
    assert {title: call for title, call, _ in rows("Actions")} == shown


def test_every_answer_is_there() -> None:
    documented = {status for operation in OPERATIONS.values() for status in operation["responses"]}
    assert {status for status, *_ in rows("Answers")} == documented


@pytest.mark.parametrize(("heading", "known"), [("Status of an operation", Status), ("State of a run", RunState)])
def test_every_state_is_there(heading: str, known: object) -> None:
    named = {name for first, *_ in rows(heading) for name in re.findall(r"`(\w+)`", first)}
    assert named == set(get_args(getattr(known, "__value__", known)))


def test_actions_go_by_their_titles() -> None:
    titles = {operation["summary"] for operation in OPERATIONS.values()}
    titles |= {parameter["x-ms-summary"] for parameter in PARAMETERS.values()}
    likely = {name for name in re.findall(r"(?<!\*)\*([A-Z][^*:]+)\*(?!\*)", TEXT) if name.partition(" ")[0] in VERBS}
    assert likely <= titles


def test_every_setting_exists() -> None:
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT)) <= SETTINGS


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (PAGE.parent / target).exists()


@pytest.mark.parametrize("placeholder", [HOST, CLIENT_ID, RESOURCE, OWNER, CONTACT])
def test_what_is_to_be_replaced_is_named(placeholder: str) -> None:
    assert f"`{placeholder}`" in TEXT


@pytest.mark.usefixtures("services")  # empty storage: no key was used before
async def test_a_newcomer_tries_it_on_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    """Every line in order, in 80 columns and without colours: each shows what the page says."""
    for program in ("bash", "curl", "jq"):
        require(program, why="the page uses it")
    steps = [*answers(PAGE)]
    script = "".join(f"{step.body}\nprintf '\\0'\n" for step, _ in steps)
    plain = {"NO_COLOR": "1", "TERM": "dumb", "JQ_COLORS": ""}
    async with running_host(log=tmp_path / "host.log", env={**os.environ, **environ}) as host:
        variables = {**plain, "APP": host.url, "KEY": host.key}
        status, output = await on_a_terminal("/bin/bash", "-euo", "pipefail", "-c", script, environ=variables)
        await tries_the_connection(host)
    assert status == 0, output
    assert too_wide(without_controls(output), 80) == []
    for (step, shown), came in zip(steps, without_controls(output).split("\0")[:-1], strict=True):
        assert shown is not None
        held = (
            shows(json.loads(shown.body), json.loads(came))
            if shown.info == ("json",)
            else shows_lines(shown.body, came)
        )
        assert held, f"{step.body}\n{came}"


async def tries_the_connection(host: RunningHost) -> None:
    """Step 1 and step 5: the host is put in place, and a connection is tried with a key that opens the app or not."""
    definition = json.loads(SWAGGER_FILE.read_text().replace(HOST, host.url.removeprefix("http://")))
    trial = definition["x-ms-capabilities"]["testConnection"]
    (path,) = [
        one
        for one, ways in definition["paths"].items()
        if ways.get("get", {}).get("operationId") == trial["operationId"]
    ]
    header = definition["securityDefinitions"]["function_key"]["name"]
    url = f"http://{definition['host']}{definition['basePath']}{path}"
    async with httpx.AsyncClient(params=trial["parameters"]) as client:
        tried = [await client.get(url, headers={header: key}) for key in (host.key, "another")]
    assert [(answer.status_code, bool(answer.content)) for answer in tried] == [(200, True), (401, False)]


def test_the_files_of_its_commands_are_there() -> None:
    named = re.findall(r"(?:-file|--path|--template-file) ([^\s`]+)", TEXT)
    assert len(named) == 4
    assert [name for name in named if not (ROOT / name).is_file()] == []
