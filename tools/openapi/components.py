"""The bodies and answers of the app as schemas of OpenAPI 3.1, by name. Pure.

No answer is closed: an enumeration takes unknown text, and an object more properties, so that a client that was made
today reads what a later version answers.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from functions.harvest_request import StartHarvest
from shared.doctor import Report
from shared.harvest.runs.starting import RunPlan
from shared.harvest.runs.state import RunView
from shared.harvest.snapshots.manifest import Manifest
from shared.opus.intake.inputs import DestroyInput, ResolveInput, SubmitInput
from shared.opus.ledger.documents import Operation
from shared.tables.serving.description import TableDescription
from shared.tables.serving.events import SnapshotEvent
from shared.tables.serving.history import DayCount
from shared.tables.serving.snapshots import SnapshotEntry
from tools.connector.definitions import (
    ChangeEntry,
    ChangeEvent,
    DatasetEntry,
    DueRecord,
    Health,
    Rehearsal,
    ReportBody,
    ReportEntry,
)
from tools.connector.schemas import WORDS

type Schema = dict[str, Any]  # JSON, as deep as it comes

ANSWERS: Mapping[str, type[BaseModel]] = {
    "Run": RunView,
    "RunPlan": RunPlan,
    "Dataset": DatasetEntry,
    "Manifest": Manifest,
    "TableDescription": TableDescription,
    "Change": ChangeEntry,
    "ChangeEvent": ChangeEvent,
    "Snapshot": SnapshotEntry,
    "SnapshotEvent": SnapshotEvent,
    "DayCount": DayCount,
    "ReportEntry": ReportEntry,
    "Report": ReportBody,
    "Operation": Operation,
    "Rehearsal": Rehearsal,
    "DueRecord": DueRecord,
    "Health": Health,
    "HealthDetails": Report,
}
BODIES: Mapping[str, type[BaseModel]] = {
    "HarvestRequest": StartHarvest,
    "SubmitRequest": SubmitInput,
    "DestroyRequest": DestroyInput,
    "ResolveRequest": ResolveInput,
}

ERRORS: Schema = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"$ref": "#/components/schemas/ErrorBody"}},
    },
    "FailedOperation": {
        "type": "object",
        "description": "An error that contains the outcome of the operation.",
        "required": ["error", "operation"],
        "properties": {
            "error": {"$ref": "#/components/schemas/ErrorBody"},
            "operation": {"$ref": "#/components/schemas/Operation"},
        },
    },
    "ErrorBody": {
        "type": "object",
        "required": ["code", "message", "target", "details"],
        "properties": {
            "code": {"type": "string", "description": "The kind of the error; also in x-ms-error-code."},
            "message": {"type": "string", "description": "What happened, and what you can do about it."},
            "target": {"type": ["string", "null"], "description": "The field or parameter with the error."},
            "details": {
                "type": "array",
                "description": "The first errors, at most 20.",
                "items": {"$ref": "#/components/schemas/ErrorDetail"},
            },
        },
    },
    "ErrorDetail": {
        "type": "object",
        "required": ["code", "target", "message"],
        "properties": {name: {"type": "string"} for name in ("code", "target", "message")},
    },
}
"""Each has a name, for generators make a type of each name."""

_OPEN_ANSWERS = frozenset({"DueRecord", "ChangeEntry", "ChangeEvent"})
_ANY_ROW: Schema = {
    "type": "object",
    "description": "A row of the table: its columns depend on the dataset.",
    "additionalProperties": True,
}


def components() -> Schema:
    """Return every schema by the name that operations refer to."""
    answers, bodies = _defined(ANSWERS, answered=True), _defined(BODIES, answered=False)
    return answers | bodies | ERRORS | {"Row": _ANY_ROW}


def _defined(models: Mapping[str, type[BaseModel]], *, answered: bool) -> Schema:
    mode: JsonSchemaMode = "serialization" if answered else "validation"
    _, found = models_json_schema([(model, mode) for model in models.values()], ref_template="#/{model}")
    names = {model.__name__: name for name, model in models.items()}
    return {
        names.get(own, own): _cleaned(schema, own, names, answered=answered) for own, schema in found["$defs"].items()
    }


def _cleaned(schema: Schema, owner: str, names: Mapping[str, str], *, answered: bool) -> Schema:
    """Return a schema without titles and defaults, opened where it is answered."""
    kept: Schema = {key: value for key, value in schema.items() if key not in {"title", "default", "$ref"}}
    if "$ref" in schema:
        own = schema["$ref"].rpartition("/")[2]
        kept["$ref"] = f"#/components/schemas/{names.get(own, own)}"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in kept:
            kept[key] = [_cleaned(one, owner, names, answered=answered) for one in kept[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = _cleaned(kept[key], owner, names, answered=answered)
    if "properties" in kept:
        kept |= _object(kept, owner, names, answered=answered)
    if answered and "enum" in kept:
        return {"anyOf": [kept, {"type": "string"}]} | _described(kept)
    return kept


def _object(schema: Schema, owner: str, names: Mapping[str, str], *, answered: bool) -> Schema:
    properties = {
        name: _cleaned(inner, owner, names, answered=answered) | _word(owner, name, inner)
        for name, inner in schema["properties"].items()
    }
    if not answered:
        return {"properties": properties}
    opened = {"additionalProperties": True} if owner in _OPEN_ANSWERS else {}
    required = ["rowKey"] if owner == "DueRecord" else list(properties)
    return {"properties": properties, "required": required} | opened


def _word(owner: str, name: str, schema: Schema) -> Schema:
    text = schema.get("description") or WORDS.get(owner, {}).get(name)
    return {"description": text} if text else {}


def _described(schema: Schema) -> Schema:
    return {"description": schema.pop("description")} if "description" in schema else {}
