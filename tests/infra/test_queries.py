"""Alerts and workbook ask for events that the app logs, by names and fields that it gives them."""

import ast
import json
import logging
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from sandbox.azurite import node
from shared.events import log_event
from tests.infra.bicep import INFRA, ROOT
from tests.infra.deployment import Deployment, Value, at

QUERIES = sorted((INFRA / "queries").glob("*.kql"))
EVENT = re.compile(r'"([a-z_]+\.[a-z_]+)"')
FIELD = re.compile(r'field\(customDimensions, message, "(\w+)"\)')

ALERTS = {
    "alert-test-abcde-stale": 1,
    "alert-test-abcde-failed-run": 2,
    "alert-test-abcde-poison": 2,
    "alert-test-abcde-destroyed": 3,
    "alert-test-abcde-expiring": 2,
    "alert-test-abcde-server-errors": 2,
    "alert-test-abcde-budget": 3,
}


def logged_events() -> dict[str, set[str]]:
    """The names of the events in the code, each with the names of the fields that are given to it."""
    events: dict[str, set[str]] = defaultdict(set)
    sources = chain((ROOT / "shared").rglob("*.py"), (ROOT / "functions").rglob("*.py"))
    for path in (path for path in sources if path.name != "telemetry.py"):  # which only listens
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for name, fields in logged_in(function):
                    events[name] |= fields
    return events


def logged_in(function: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Every event in a function with its fields; ``**fields`` are those that the function includes of a document."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    included = {name for call in calls for word in call.keywords if word.arg == "include" for name in texts(word.value)}
    for call in calls:
        for name in (name for argument in call.args for name in texts(argument) if EVENT.fullmatch(f'"{name}"')):
            yield name, {field for word in call.keywords for field in ([word.arg] if word.arg else included)}


def texts(node: ast.AST) -> Iterator[str]:
    """The string literals in an expression."""
    for found in ast.walk(node):
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


EVENTS = logged_events()


def alert_queries(deployment: Deployment) -> dict[str, str]:
    """The query of each alert, whole."""
    found = {}
    for alert in deployment.of_type("Microsoft.Insights/scheduledQueryRules"):
        conditions = alert.at("criteria.allOf")
        assert isinstance(conditions, list)
        found[alert.name] = str(at(conditions[0], "query"))
    return found


def charts(deployment: Deployment) -> dict[str, str]:
    """The query of each chart of the workbook, whole."""
    (workbook,) = deployment.of_type("Microsoft.Insights/workbooks")
    items = json.loads(str(workbook.at("serializedData")))["items"]
    return {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}


def test_the_alerts(plain: Deployment) -> None:
    alerts = plain.of_type("Microsoft.Insights/scheduledQueryRules")
    assert {alert.name: alert.at("severity") for alert in alerts} == ALERTS
    for alert in alerts:
        assert alert.at("enabled") is True
        assert alert.at("scopes") == ["Microsoft.Insights/components/appi-test-abcde"]
        assert alert.at("actions.actionGroups") == ["Microsoft.Insights/actionGroups/ag-test-abcde"]


def test_a_dataset_is_stale_after_26_hours(plain: Deployment) -> None:
    assert alert_queries(plain)["alert-test-abcde-stale"].startswith("let freshness = 26h;\n")


def test_the_workbook(plain: Deployment) -> None:
    assert charts(plain).keys() == {"Freshness", "Items per dataset", "Seconds waited", "Opus operations by outcome"}


def test_every_query_is_used(plain: Deployment) -> None:
    used = [*alert_queries(plain).values(), *charts(plain).values()]
    assert [path.name for path in QUERIES if not any(path.read_text() in query for query in used)] == []


def test_kusto_takes_every_query(plain: Deployment) -> None:
    queries = alert_queries(plain) | charts(plain)
    script = Path(__file__).with_name("kusto.mjs")
    done = subprocess.run(  # noqa: S603 - our own script
        [node(), script], input=json.dumps(queries), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\nrun npm ci"
    assert json.loads(done.stdout) == {name: [] for name in queries}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_event_and_field_is_logged(path: Path) -> None:
    query = path.read_text()
    asked = EVENT.findall(query) or EVENTS
    assert [name for name in asked if name not in EVENTS] == []
    fields = {field for name in asked for field in EVENTS[name]}
    assert set(FIELD.findall(query)) <= fields


def test_the_columns_that_alerts_are_split_by_are_there(plain: Deployment) -> None:
    queries = alert_queries(plain)
    for alert in plain.of_type("Microsoft.Insights/scheduledQueryRules"):
        conditions = alert.at("criteria.allOf")
        assert isinstance(conditions, list)
        dimensions = at(conditions[0], "dimensions")
        assert isinstance(dimensions, list)
        shown = queries[alert.name].rpartition("| project ")[2]
        assert all(str(at(dimension, "name")) in shown for dimension in dimensions)


@pytest.mark.parametrize(
    ("value", "read"), [("20260131T020000Z-graph", "20260131T020000Z-graph"), (42, "42"), ("two words", "two words")]
)
def test_what_comes_as_text_is_read_as_what_was_logged(
    value: Value, read: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        log_event(logging.getLogger(__name__), "snapshot.published", before="x", wanted=value, after="y")
    prelude = (INFRA / "queries/events.kql").read_text()
    event, field = re.findall(r'@"(\^[^"]+|=[^"]+)"', prelude)[1], re.findall(r'@"(=[^"]+)"', prelude)[0]
    found = [re.search(pattern, caplog.messages[0]) for pattern in (event, f" wanted{field}")]
    assert [match[1].strip("'") for match in found if match] == ["snapshot.published", read]
