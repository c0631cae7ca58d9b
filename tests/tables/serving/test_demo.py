"""Reports on the demo's tenant: harvested, built and reported, against the references in plain Python (promise 10)."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sandbox.avepoint.settings import Settings
from sandbox.avepoint.simulation import AvePoint
from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import catalog
from shared.services import Services
from shared.tables.reporting.heads import reports
from shared.tables.serving.report import make_report
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.reference import NOTHING, typed
from tests.tables.reports.references import REFERENCES
from tests.tables.reports.tenant import NOW, Row, documented

ITEMS = 120
AGGREGATED = {"premium-and-custom-connectors": (0, 4, 5, 6, 7, 8)}
DATASETS = sorted({name for report in reports().values() for name in (*report.needs, *report.uses)})


@dataclass
class Demo:
    """The tenant after two nights: as its lists tell it, and as services that read its tables."""

    rows: dict[str, list[Row]]
    services: Services


@pytest.fixture(scope="module")
async def demo() -> AsyncIterator[Demo]:
    clock = Clock(NOW)
    memory = MemoryStorage(clock)
    rows: dict[str, list[Row]] = {}
    for name in DATASETS:
        nights = Nights.of(memory, clock, name)
        for night in (0, 1):
            items = listed(name, night)
            await nights.night(items)
            rows[name] = [row_of(name, json.loads(item)) for item in items]
    async with AsyncExitStack() as opened:
        yield Demo(rows, replace(nights.services(), opened=opened))


def listed(name: str, night: int) -> list[bytes]:
    """What a list of the simulated AvePoint holds on a night."""
    avepoint = AvePoint(Settings(items=ITEMS, night=night), clock=NOW.timestamp)
    resource = name.removeprefix("graph/").replace("elements/", "elements-")
    return [avepoint.item(resource, number) for number in range(avepoint.item_count(resource))]


def row_of(name: str, item: dict[str, Any]) -> Row:
    """A row as a table has it, its JSON as Python has it; what does not fit is nothing."""
    dataset = next(one for one in catalog().values() if f"{one.source}/{one.name}" == name)
    found = {field.name: typed(field.type, item.get(field.name)) for field in documented(name)}
    key = "|".join(str(item[part]) for part in dataset.key)
    return {"_key": key} | {field: None if value is NOTHING else value for field, value in found.items()}


@pytest.mark.parametrize("name", sorted(REFERENCES))
async def test_a_report_of_the_demo_says_what_its_reference_says(demo: Demo, name: str) -> None:
    values = reports()[name].values({})
    answer = await make_report(demo.services, reports()[name], values)
    expected = REFERENCES[name](demo.rows, values)
    places = AGGREGATED.get(name)
    rows = [tuple(row[place] for place in places) for row in answer.result.rows] if places else answer.result.rows
    assert rows == expected


@pytest.mark.parametrize("name", sorted(reports()))
async def test_a_report_of_the_demo_is_worth_looking_at(demo: Demo, name: str) -> None:
    values = reports()[name].values(
        {"days": "400"} if any(one.name == "days" for one in reports()[name].parameters) else {}
    )
    assert (await make_report(demo.services, reports()[name], values)).result.rows
