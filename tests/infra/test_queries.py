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
from sandbox.processes import ROOT
from shared.telemetry.events import log_event
from tests.infra.alerting import EVENT, alert_rules
from tests.infra.conftest import GROUP, NAME
from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot, Value, at

QUERIES = sorted((INFRA / "queries").glob("*.kql"))
FIELD = re.compile(r'field\(customDimensions, message, "(\w+)"\)')

ALERTS = {
    f"alert-{NAME}-stale": 1,
    f"alert-{NAME}-failed-run": 2,
    f"alert-{NAME}-poison": 2,
    f"alert-{NAME}-destroyed": 3,
    f"alert-{NAME}-expiring": 2,
    f"alert-{NAME}-server-errors": 2,
    f"alert-{NAME}-budget": 3,
    f"alert-{NAME}-tables": 2,
    f"alert-{NAME}-uncertain": 2,
    f"alert-{NAME}-verify": 1,
    f"alert-{NAME}-shrunk": 3,
    f"alert-{NAME}-never-free": 2,
    f"alert-{NAME}-missed": 2,
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


def alert_queries(deployment: Snapshot) -> dict[str, str]:
    """The query of each alert, whole."""
    return {name: rule.query for name, rule in alert_rules(deployment).items()}


def charts(deployment: Snapshot) -> dict[str, str]:
    """The query of each chart of the workbook, whole."""
    (workbook,) = deployment.of_type("Microsoft.Insights/workbooks")
    items = json.loads(str(workbook.at("serializedData")))["items"]
    return {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}


def test_the_alerts(public: Snapshot) -> None:
    alerts = public.of_type("Microsoft.Insights/scheduledQueryRules")
    assert {alert.name: alert.at("severity") for alert in alerts} == ALERTS
    for alert in alerts:
        assert alert.at("enabled") is True
        assert alert.at("scopes") == [f"{GROUP}/Microsoft.Insights/components/appi-{NAME}"]
        assert alert.at("actions.actionGroups") == [f"{GROUP}/Microsoft.Insights/actionGroups/ag-{NAME}"]


def test_a_dataset_is_stale_after_26_hours(public: Snapshot) -> None:
    assert alert_queries(public)[f"alert-{NAME}-stale"].count("< ago(26h)") == 2


def test_azure_takes_the_alerts_on_an_empty_workspace(public: Snapshot) -> None:
    """It knows no tables yet, so the queries cannot be tried; and Azure's limits leave out union and ago of a name."""
    for alert in public.of_type("Microsoft.Insights/scheduledQueryRules"):
        assert alert.at("skipQueryValidation") is True
    for query in alert_queries(public).values():
        code = re.sub(r"//.*", "", query)
        assert not re.search(r"\bunion\b|\bago\((?!\d+[dhms]\))", code)


def test_the_workbook(public: Snapshot) -> None:
    assert charts(public).keys() == {
        "Freshness",
        "Tables",
        "Not as it was written",
        "Datasets that shrank by a third",
        "Items per dataset",
        "Seconds waited",
        "Uncertain operations",
        "Calls that are missed",
        "Opus operations by outcome",
    }


def test_every_query_is_used(public: Snapshot) -> None:
    used = [*alert_queries(public).values(), *charts(public).values()]
    assert [path.name for path in QUERIES if not any(path.read_text() in query for query in used)] == []


def test_kusto_takes_every_query(public: Snapshot) -> None:
    queries = alert_queries(public) | charts(public)
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


def test_the_columns_that_alerts_are_split_by_are_there(public: Snapshot) -> None:
    queries = alert_queries(public)
    for alert in public.of_type("Microsoft.Insights/scheduledQueryRules"):
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
