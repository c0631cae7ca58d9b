"""Every body and answer of the app by name: the app's own models, and what it answers without one."""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from functions.runs import StartHarvest
from sandbox.connector.dropdowns import dropdown
from sandbox.connector.schemas import Schema, answer, body, either, listing
from shared.doctor import Report
from shared.document import Document
from shared.harvest.inventory import Entry
from shared.harvest.snapshot import Manifest
from shared.harvest.starting import RunPlan
from shared.harvest.state import RunView
from shared.opus.documents import Operation
from shared.opus.inputs import DestroyInput, ResolveInput, SubmitInput


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


def _harvest_request() -> Schema:
    request = body(StartHarvest)
    request["properties"]["datasets"]["items"] |= dropdown("ListDatasets", "name", source="body/source")
    return request


DEFINITIONS: Mapping[str, Schema] = {
    "HarvestRequest": _harvest_request(),
    "Run": answer(RunView),
    "Runs": listing("Run", summary="Runs"),
    "RunOrPlan": either(answer(RunView), answer(RunPlan)),
    "Dataset": answer(Entry),
    "Datasets": listing("Dataset", summary="Datasets"),
    "Manifest": answer(Manifest),
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
