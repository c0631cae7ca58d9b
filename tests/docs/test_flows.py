"""docs/flows.md and the connector say the same."""

import re
from pathlib import Path
from typing import get_args

import pytest

from sandbox.connector.properties import CLIENT_ID, RESOURCE
from sandbox.connector.swagger import HOST
from shared.harvest.state import RunState
from shared.opus.documents import Status
from shared.settings import Settings
from tests.connector.reading import OPERATIONS, PARAMETERS, SWAGGER

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


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (PAGE.parent / target).exists()


@pytest.mark.parametrize("placeholder", [HOST, CLIENT_ID, RESOURCE])
def test_what_is_to_be_replaced_is_named(placeholder: str) -> None:
    assert f"`{placeholder}`" in TEXT
