"""Rows of the datasets that reports need: few values, so that they meet, and each of them missing at times."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.avepoint.catalog import catalog
from shared.avepoint.fields import Field, fields_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

type Row = dict[str, Any]
type Tenant = Mapping[str, Sequence[Row]]

PEOPLE = ["Ada", "Björn", "Çelik", "ada", None]
STATUSES = ["Enable", "Enabled", " active ", "Disabled", "Deleted", "", None]
NAMED: Mapping[str, Sequence[object]] = {
    "displayName": ["Leave", "Expenses", "Ärger", None],
    "name": ["Finance", "Sales", None],
    "environmentName": ["Default", "Sales", None],
    "environment": ["Default", "Sales", None],
    "ownerDisplayName": PEOPLE,
    "ownerStatus": STATUSES,
    "owner": [{"name": person, "status": status} for person in PEOPLE for status in STATUSES] + [None, "N/A", {}],
    "tier": ["Premium", "premium ", "Standard", None],
    "connectorId": ["shared_a", "shared_b", "custom", None],
    "connectorDisplayName": ["Connector"],
    "publisher": ["Contoso"],
    "state": ["Finished", "Failed", "finished with exception", None],
    "hasDlpPolicy": [True, False, None],
    "dlpPolicies": [0, 1, None],
    "storageUsed": [0, 899, 900, 901, 2**62, None],
    "prohibitSendReceiveQuota": [0, 1000, 2**63 - 1, None],
    "tenants": [[], [{"id": "a"}], [{"id": "a"}, {"id": "b"}], None, "N/A"],
    "backupDetails": [{"failedCount": 3}, {"failedCount": "N/A"}, {}, None],
    "products": [
        [],
        None,
        [{"service": "Backup", "purchasedUserSeats": "2", "expirationDate": "2026-03-31T00:00:00Z"}],
        [
            {"service": "Fly", "purchasedCapacity": "0/1 GB", "expirationDate": "N/A"},
            {"service": "Opus", "consumedStorage": "1 GB", "expirationDate": "2026-02-01T08:30:00Z"},
        ],
    ],
}
KINDS: Mapping[str, Callable[[random.Random], object]] = {
    "boolean": lambda chance: chance.choice([True, False, None]),
    "long": lambda chance: chance.choice([0, 1, 2, 3, None]),
    "double": lambda chance: chance.choice([0.0, 0.5, None]),
    "string": lambda chance: chance.choice(["a", "b", "", None]),
    "json": lambda chance: chance.choice([None, {}, []]),
    "timestamp": lambda chance: chance.choice([None, NOW - timedelta(days=chance.randrange(200), seconds=1)]),
}


def made_up_tenant(datasets: Sequence[str], *, seed: int, size: int = 60) -> Tenant:
    """Rows of these datasets, the same for the same seed."""
    return {dataset: rows_of(dataset, random.Random(f"{seed} {dataset}"), size) for dataset in datasets}  # noqa: S311


def rows_of(dataset: str, chance: random.Random, size: int) -> list[Row]:
    fields = documented(dataset)
    return [
        {"_key": f"{number:03}"} | {field.name: value_of(field, chance) for field in fields} for number in range(size)
    ]


def value_of(field: Field, chance: random.Random) -> object:
    if field.codes:
        return chance.choice([*field.codes, None, "77"]) if field.type != "long" else _code(field, chance)
    if field.name in NAMED and field.type != "long":
        return chance.choice(NAMED[field.name])
    return chance.choice(NAMED[field.name]) if field.name in NAMED else KINDS[field.type](chance)


def _code(field: Field, chance: random.Random) -> int | None:
    return chance.choice([*map(int, field.codes), 77, None])


def documented(dataset: str) -> Sequence[Field]:
    """The documented fields of ``{source}/{dataset}``."""
    return fields_of(next(one for one in catalog().values() if f"{one.source}/{one.name}" == dataset)).all


def stored(field: Field, value: object) -> object:
    """A value as the table holds it."""
    return json.dumps(value) if field.type == "json" and value is not None else value
