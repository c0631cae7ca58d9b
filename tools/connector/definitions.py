"""Every body and answer of the app by name: the app's own models, and what it answers without one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from functions.harvest_request import StartHarvest
from shared.avepoint.platform import Source
from shared.doctor import Report
from shared.document import Document
from shared.harvest.runs.starting import RunPlan
from shared.harvest.runs.state import RunView
from shared.harvest.snapshots.inventory import Entry
from shared.harvest.snapshots.manifest import Manifest
from shared.opus.intake.inputs import DestroyInput, ResolveInput, SubmitInput
from shared.opus.ledger.documents import Operation
from shared.tables.schema.columns import ColumnType
from shared.tables.serving.description import TableDescription
from shared.tables.serving.events import SnapshotEvent
from shared.tables.serving.history import DayCount
from shared.tables.serving.snapshots import SnapshotEntry
from shared.tables.serving.table_info import TableInfo
from tools.connector.dropdowns import dropdown
from tools.connector.schemas import WORDS, Schema, answer, body, either, listing, title


class RehearsedRequest(Document):
    """A request that a dry run of a destroy would make."""

    method: str
    url: str
    body: dict[str, JsonValue]


class Rehearsal(Document):
    """What a dry run of a destroy answers."""

    dry_run: bool
    requested: int
    requests: tuple[RehearsedRequest, ...]


class DueRecord(Document):
    """A record as Opus lists it; custom columns come on top."""

    row_key: str
    leaf_name: str | None
    term_full_path: str | None
    time_created: str | None
    time_modified: str | None
    created_by: str | None
    modified_by: str | None


class Health(Document):
    """Whether the app can work."""

    status: Literal["ok", "unhealthy"]
    version: str


class DatasetEntry(Entry):
    """A dataset, its newest snapshot and its table; ``next_tick`` is there only when a timer harvests it."""

    table: TableInfo


class ChangeEntry(Document):
    """A change of an item."""

    key: str
    change: Literal["added", "removed", "changed"]
    sure: bool
    fields: tuple[str, ...]
    before: dict[str, JsonValue] | None
    after: dict[str, JsonValue] | None
    run_id: str
    previous_run_id: str | None
    at: datetime


class ChangeEvent(ChangeEntry):
    """A change of an item, and of which dataset."""

    source: Source
    dataset: str


class ReportParameterEntry(Document):
    """What a report can be asked with."""

    name: str
    default: str
    description: str


class ReportEntry(Document):
    """A report that can be had."""

    name: str
    title: str
    description: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    parameters: tuple[ReportParameterEntry, ...]


class ReportColumn(Document):
    """A column of a report."""

    name: str
    type: ColumnType


class ReportBody(ReportEntry):
    """A report, and what it says."""

    columns: tuple[ReportColumn, ...]
    value: tuple[dict[str, JsonValue], ...]
    run_ids: dict[str, str]


BESIDE = WORDS["Beside"]
"""What stands beside the entries of some lists."""

_OF_DATASET = {name: {"parameter": name} for name in ("source", "dataset")}
ANY_ROW: Schema = {
    "type": "object",
    "additionalProperties": True,
    "properties": {},
    "x-ms-dynamic-schema": {"operationId": "GetSchema", "parameters": _OF_DATASET, "value-path": "row"},
}
"""A row: which columns it has, depends on the dataset; the designer asks for them."""


def _beside(listed: Schema, name: str, **labels: str) -> Schema:
    """Return a list beside which something else always stands."""
    beside = {name: {"type": "string", "x-ms-summary": title(name), "description": BESIDE[name], **labels}}
    return listed | {"required": ["value", name], "properties": listed["properties"] | beside}


def _events(item: str, summary: str) -> Schema:
    return _beside(listing(item, summary=summary), "triggerState", **{"x-ms-visibility": "internal"})


def _harvest_request() -> Schema:
    request = body(StartHarvest)
    request["properties"]["datasets"]["items"] |= dropdown("ListDatasets", "name", source="body/source")
    return request


DEFINITIONS: Mapping[str, Schema] = {
    "HarvestRequest": _harvest_request(),
    "Run": answer(RunView),
    "Runs": listing("Run", summary="Runs", pages=True),
    "RunOrPlan": either(answer(RunView), answer(RunPlan)),
    "Dataset": answer(DatasetEntry),
    "Datasets": listing("Dataset", summary="Datasets"),
    "Manifest": answer(Manifest),
    "Row": ANY_ROW,
    "Rows": listing("Row", summary="Rows", pages=True),
    "TableDescription": answer(TableDescription),
    "Change": answer(ChangeEntry),
    "Changes": _beside(listing("Change", summary="Changes", pages=True), "until"),
    "Snapshot": answer(SnapshotEntry),
    "Snapshots": listing("Snapshot", summary="Snapshots", pages=True),
    "DayCount": answer(DayCount),
    "History": listing("DayCount", summary="Counts"),
    "ReportEntry": answer(ReportEntry),
    "Reports": listing("ReportEntry", summary="Reports"),
    "Report": answer(ReportBody),
    "SnapshotEvent": answer(SnapshotEvent),
    "SnapshotEvents": _events("SnapshotEvent", "Snapshots"),
    "ChangeEvent": answer(ChangeEvent),
    "ChangeEvents": _events("ChangeEvent", "Changes"),
    "SubmitRequest": body(SubmitInput),
    "DestroyRequest": body(DestroyInput),
    "ResolveRequest": body(ResolveInput),
    "Operation": answer(Operation),
    "Operations": listing("Operation", summary="Operations", pages=True),
    "OperationOrRehearsal": either(answer(Operation), answer(Rehearsal)),
    "DueRecord": answer(DueRecord) | {"required": ["rowKey"]},
    "DueRecords": listing("DueRecord", summary="Records", pages=True),
    "Health": answer(Health),
    "HealthDetails": answer(Report),
}
