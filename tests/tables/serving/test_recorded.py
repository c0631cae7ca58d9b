"""The recorded filters once more, over rows that went the whole way: harvested, built, and read page by page.

Left out are rows that a harvest cannot carry as they are: times finer than a table keeps or that mean none, and texts
of JSON that a table spells otherwise.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.errors import InvalidInput
from shared.services import Services
from shared.tables.serving.datasets import DatasetTable, current_table
from shared.tables.serving.items import ItemsQuery, read_items
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.queries.test_recorded import FILTERS, ROWS, TIMES

COLUMNS = {
    "id": "coOwnerCount",
    "name": "displayName",
    "owner": "ownerDisplayName",
    "type": "appType",
    "tags": "primaryContact",
    "size": "sharedUsers",
    "share": "share",
    "active": "sharedOrganization",
    "created": "createdOn",
    "modified": "modifiedOn",
}
"""Columns of a list of apps of the same types; ``share`` is not documented and shows that it is a double."""

TEXT_OR_NAME = re.compile(rf"'(?:[^']|'')*'|\b(?:{'|'.join(COLUMNS)})\b(?![('])")


def can_be_carried(row: dict[str, Any]) -> bool:
    if any((row[name] or "").startswith(("0001-", "1970-01-01")) for name in TIMES):
        return False
    if row["tags"] == "null" or ".0" in (row["tags"] or ""):
        return False
    try:
        return row["tags"] is None or row["tags"] == json.dumps(
            json.loads(row["tags"]), ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
    except ValueError:
        return False


CARRIED = [row for row in ROWS if can_be_carried(row)]
ASKED = [case for case in FILTERS if len(case["filter"]) < 1_000]


@dataclass
class Apps:
    services: Services
    table: DatasetTable

    async def ids(self, text: str) -> list[int]:
        """The ids that a filter shows."""
        wanted = TEXT_OR_NAME.sub(lambda found: COLUMNS.get(found.group(), found.group()), text)
        size = len(quote(text))
        query = ItemsQuery(
            source="graph", dataset=self.table.dataset.name, select="coOwnerCount", filter=wanted, filter_bytes=size
        )
        page = await read_items(self.services, self.table, query)
        return sorted(json.loads(row)["coOwnerCount"] for row in page.rows)


@pytest.fixture(scope="module")
async def apps() -> AsyncIterator[Apps]:
    clock = Clock()
    nights = Nights.of(MemoryStorage(clock), clock, "graph/enpower-powerapps")
    await nights.night([item_of(row) for row in CARRIED])
    async with AsyncExitStack() as opened:
        services = replace(nights.services(), opened=opened)
        yield Apps(services, await current_table(services, nights.dataset))


def item_of(row: dict[str, Any]) -> dict[str, Any]:
    item = {COLUMNS[name]: value for name, value in row.items()}
    tags = None if row["tags"] is None else json.loads(row["tags"])
    return item | {"id": f"app{row['id']}", "primaryContact": tags}


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case["filter"][:60])
async def test_a_recorded_filter_shows_the_recorded_rows(apps: Apps, case: dict[str, Any]) -> None:
    if case["want"] != 200:
        with pytest.raises(InvalidInput):
            await apps.ids(case["filter"])
        return
    assert await apps.ids(case["filter"]) == sorted({row["id"] for row in CARRIED} & set(case["ids"]))


def test_most_rows_can_be_carried() -> None:
    assert len(CARRIED) >= 25
