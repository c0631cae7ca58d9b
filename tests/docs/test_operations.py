"""docs/operations.md says what is: alerts, verdicts, the lines of the doctor, host.json, and sums that are right."""

import json
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import get_args

import pytest

from sandbox.azurite import Azurite
from sandbox.processes import ROOT
from shared.avepoint.platform import SOURCES
from shared.azure.storage import Queue
from shared.doctor import examine
from shared.harvest.snapshots.manifest import Verdict
from shared.services import Services
from tests.conftest import Simulator, app_settings

TEXT = (ROOT / "docs" / "operations.md").read_text()
ALERTS = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
VAULT = (ROOT / "infra" / "modules" / "vault.bicep").read_text()
RULES = dict(re.findall(r"\n    name: '([\w-]+)'.*?\n    every: '(\w+)'", ALERTS, re.DOTALL))


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The rows of the tables of a section, without their heads."""
    lines = section(title).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in tables if not line.startswith("|--")
    ]


def test_every_alert_is_explained() -> None:
    explained = {row[0].strip("`") for row in rows("Alerts")} - {"alert"}
    of_the_vault = re.findall(r"eventSubscriptions.*?name: '([\w-]+)'", VAULT, re.DOTALL)
    of_the_activity_log = re.findall(r"activityLogAlerts@.*?name: 'alert-\$\{name\}-([\w-]+)'", ALERTS, re.DOTALL)
    assert RULES
    assert explained == {*RULES, *of_the_activity_log, *of_the_vault}


def test_every_verdict_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows("Is last night's inventory there?")][1:]
    assert sorted(explained) == sorted(get_args(Verdict.__value__))


def test_every_poison_queue_is_explained() -> None:
    assert {row[0].strip("`") for row in rows("Replaying a poison message")} - {"queue"} == {
        f"{one}-poison" for one in Queue
    }


async def test_every_line_of_the_doctor_is_explained(
    azurite: Azurite, avepoint: Simulator, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in app_settings(azurite, avepoint).items():
        monkeypatch.setenv(name, value)

    async def opened() -> Services:
        return services

    kinds = {kind(check.name) for check in await examine(opened, look=True)}
    explained = {name for row in rows("Is the app well?") for name in re.findall(r"`([a-z]+(?:/…)?)`", row[0])}
    on_demand = ("vault", "certificate", "tables", "snapshots", "stored", "verify", "operations")
    assert kinds | {f"{name}/…" for name in on_demand} == explained


def kind(name: str) -> str:
    head, slash, _ = name.partition("/")
    return f"{head}/…" if slash else head


def test_host_json_is_explained() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    for setting, _, _ in rows("host.json")[1:]:
        first, *others = re.findall(r"`([\w.]+)`", setting)
        path, _, last = first.rpartition(".")
        for name in (last, *others):
            assert found(host, path, name) is not None, name


def found(document: Mapping[str, object], path: str, name: str) -> object:
    for step in filter(None, path.split(".")):
        document = document[step]  # type: ignore[assignment]  # as deep as the page says
    return document.get(name)


def test_the_sums_are_right() -> None:
    *priced, together = rows("What it costs")[1:]
    sums = [Decimal(re.sub(r"[^\d.]", "", amount)) * Decimal(price) for _, amount, price, _ in priced]
    rounded = [exact.quantize(Decimal("0.01"), ROUND_HALF_UP) for exact in sums]
    assert [row[-1] for row in priced] == [str(sum_) for sum_ in rounded]
    assert together == ["together", "", "", str(sum(rounded))]


def test_the_alert_rules_are_counted() -> None:
    often = sum(every == "PT5M" for every in RULES.values())
    counted = {what: amount for what, amount, *_ in rows("What it costs")}
    assert counted["alert rules that look every 5 minutes"] == str(often)
    assert counted["alert rules that look less often"] == str(len(RULES) - often)


def test_private_endpoints_are_counted() -> None:
    endpoints = re.findall(r"\{ name: '\w+', groupId: '\w+' \}", (ROOT / "infra" / "main.bicep").read_text())
    assert len(endpoints) == 9
    assert f"nine private endpoints at 7.30 each, {9 * 7.30:.2f} a month" in " ".join(TEXT.split())


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_in_the_sample_of_settings(source: str) -> None:
    """Whoever follows the page needs no other setting than the defaults of the template."""
    assert f"HARVEST_{source.upper()}_SCHEDULE" in (ROOT / "infra" / "modules" / "app.bicep").read_text()
