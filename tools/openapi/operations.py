"""Every HTTP function as an operation of OpenAPI 3.1, from the words of the connector. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from tools.connector.actions import ACTIONS, PATH, Action, Parameter
from tools.connector.definitions import BESIDE
from tools.connector.responses import BEHIND_THE_KEY, ERRORS, WITH_A_BODY, always_possible
from tools.connector.routes import Route
from tools.openapi.components import Schema

KEY, SIGN_IN = "functionKey", "signIn"

_TAGGED: Mapping[str, tuple[str, ...]] = {
    "Harvests": ("start_harvest", "list_runs", "get_run", "resume_run", "cancel_run"),
    "Datasets": ("list_datasets", "get_latest", "list_snapshots"),
    "Tables": ("list_items", "get_schema", "list_changes", "get_history", "rebuild_table"),
    "Triggers": ("on_snapshot", "on_change"),
    "Reports": ("list_reports", "get_report"),
    "Opus": ("submit_records", "list_due_records", "destroy_records"),
    "Operations": (*("list_operations", "get_operation", "poll_operation", "cancel_operation", "resolve_operation"),),
    "App": ("health", "health_details", "get_openapi"),
}
TAGS: Mapping[str, str] = {
    "Harvests": "Runs that fetch the lists of AvePoint into storage.",
    "Datasets": "The lists that the app can harvest, and their snapshots.",
    "Tables": "The rows of a dataset, their changes and their history.",
    "Triggers": "New snapshots and changes, for callers that poll.",
    "Reports": "Reports from the tables.",
    "Opus": "Records of AvePoint Opus: submit, list due records, destroy.",
    "Operations": "Submits and destroys, and their outcomes.",
    "App": "The app itself.",
}
"""What each group of operations is about, in order."""

_PAGES: Mapping[str, str] = {
    "list_runs": "Run",
    "list_datasets": "Dataset",
    "list_snapshots": "Snapshot",
    "list_items": "Row",
    "list_changes": "Change",
    "get_history": "DayCount",
    "list_reports": "ReportEntry",
    "on_snapshot": "SnapshotEvent",
    "on_change": "ChangeEvent",
    "list_due_records": "DueRecord",
    "list_operations": "Operation",
}
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "start_harvest": ("Run", "RunPlan"),
    "get_run": ("Run",),
    "resume_run": ("Run",),
    "cancel_run": ("Run",),
    "get_latest": ("Manifest",),
    "get_schema": ("TableDescription",),
    "get_report": ("Report",),
    "submit_records": ("Operation",),
    "destroy_records": ("Operation", "Rehearsal"),
    "get_operation": ("Operation",),
    "poll_operation": ("Operation",),
    "cancel_operation": ("Operation",),
    "resolve_operation": ("Operation",),
    "health": ("Health",),
    "health_details": ("HealthDetails",),
}
_CSV = frozenset({"list_items", "list_changes", "get_report"})
_BESIDE = {"list_changes": "until", "on_snapshot": "triggerState", "on_change": "triggerState"}
_NO_BODY_LATER = frozenset({"on_snapshot", "on_change"})

_RETRY = {"Retry-After": {"description": "After how many seconds to ask again.", "schema": {"type": "integer"}}}
_LOCATION = {"Location": {"description": "The address to ask for the outcome.", "schema": {"type": "string"}}}
_ERROR_CODE = {"x-ms-error-code": {"description": "The code of the error.", "schema": {"type": "string"}}}
_REPLAYED = {
    "Idempotent-Replayed": {
        "description": "true where the answer of an earlier call with the same key is given again.",
        "schema": {"type": "string"},
    }
}
_REPEATABLE = frozenset({"submit_records", "destroy_records"})
_PATIENT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

EXAMPLES: Mapping[str, object] = {
    "HarvestRequest": {"source": "graph", "datasets": ["enpower-powerapps"]},
    "SubmitRequest": {
        "conflictOption": "Overwrite",
        "records": [
            {
                "rowKey": "contract-4711",
                "leafName": "Contract 4711.pdf",
                "timeCreated": "2026-01-31T09:30:00Z",
                "timeModified": "2026-02-01T10:00:00Z",
                "createdBy": "ann@contoso.com",
                "modifiedBy": "ben@contoso.com",
                "department": "Legal",
                "contractValue": {"type": "number", "value": 1200.5},
            }
        ],
    },
    "DestroyRequest": {"ids": ["contract-4711", "contract-4712"]},
    "ResolveRequest": {
        "ids": ["contract-4711"],
        "outcome": "Succeeded",
        "note": "The record is gone from the list of the connection.",
        "checkedBy": "ann@contoso.com",
    },
}


def operation(route: Route, action: Action) -> Schema:
    """Return one operation."""
    return {
        "operationId": camel_case(route.function),
        "tags": [next(tag for tag, functions in _TAGGED.items() if route.function in functions)],
        "summary": action.summary,
        "description": action.description,
        **({"security": []} if route.anonymous else {}),
        "parameters": [*_path_parameters(route), *_parameters(action)],
        **({"requestBody": _body(action.body)} if action.body else {}),
        "responses": _responses(route, action),
    }


def camel_case(function: str) -> str:
    """Return ``start_harvest`` as ``startHarvest``."""
    first, *rest = function.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _path_parameters(route: Route) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", route.path):
        one = PATH[name]
        schema = {"type": "string", "minLength": 1} if name != "source" else {"type": "string"}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema | one.type,
            "description": one.description,
        }


def _parameters(action: Action) -> Iterator[Schema]:
    for place, parameters in (("query", action.query), ("header", action.headers)):
        for one in parameters:
            yield _parameter(place, one)


def _parameter(place: str, one: Parameter) -> Schema:
    return {
        "name": one.name,
        "in": place,
        "required": one.required,
        "schema": one.type,
        "description": one.description,
    }


def _body(name: str) -> Schema:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"required": True, "content": {"application/json": {"schema": schema, "example": EXAMPLES[name]}}}


def _responses(route: Route, action: Action) -> Schema:
    function = route.function
    answers: Schema = {}
    if function == "get_openapi":
        answers["200"] = {"description": action.ok, "content": _json({"type": "object"})}
    elif action.answer:
        answers["200"] = {"description": action.ok, "content": _content(function), **_headers(function)}
    else:
        answers["202"] = {"description": action.ok, "content": _json({"type": "object"})}
    if action.lasts:
        answers["202"] = _later(function)
    for status in _errors(route, action):
        answers[str(int(status))] = _error(function, status)
    return answers


def error_responses() -> Schema:
    """Return what each error status answers, by the name that operations refer to."""
    return {_error_name(status): _error_response(status) for status in ERRORS}


def _error_name(status: HTTPStatus) -> str:
    return "".join(word.capitalize() for word in status.phrase.replace("-", " ").split())


def _content(function: str) -> Schema:
    content = _json(_page(_PAGES[function], function)) if function in _PAGES else _json(_one_of(_ANSWERS[function]))
    return content | ({"text/csv": {"schema": {"type": "string"}}} if function in _CSV else {})


def _headers(function: str) -> Schema:
    if function in _NO_BODY_LATER:  # a trigger: each answer says where to ask for what comes after it
        return {"headers": _LOCATION | _RETRY}
    return {"headers": _REPLAYED} if function in _REPEATABLE else {}


def _later(function: str) -> Schema:
    waits = "There is nothing new: ask again." if function in _NO_BODY_LATER else "The work continues: ask again."
    headers = _LOCATION | _RETRY | (_REPLAYED if function in _REPEATABLE else {})
    later: Schema = {"description": f"{waits} Location says where.", "headers": headers}
    if function not in _NO_BODY_LATER:
        later["content"] = _json(_one_of(_ANSWERS[function][:1]))
    return later


def _errors(route: Route, action: Action) -> Sequence[HTTPStatus]:
    errors = action.errors | always_possible()
    errors |= frozenset() if route.anonymous else BEHIND_THE_KEY
    errors |= WITH_A_BODY if action.body else frozenset()
    return sorted(errors)


def _error(function: str, status: HTTPStatus) -> Schema:
    if function == "health":
        return {"description": "The app cannot work.", "content": _json(_one_of(("Health",)))}
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and function in _REPEATABLE:
        answer = _error_response(status)
        return answer | {"headers": answer["headers"] | _REPLAYED}
    return {"$ref": f"#/components/responses/{_error_name(status)}"}


def _error_response(status: HTTPStatus) -> Schema:
    headers = _ERROR_CODE | (_RETRY if status in _PATIENT else {})
    names = ("FailedOperation", "Error") if status == HTTPStatus.UNPROCESSABLE_ENTITY else ("Error",)
    text = ERRORS[status]
    if status == HTTPStatus.UNAUTHORIZED:
        text += " If the host itself refuses a key, there is no body."
    return {"description": text, "headers": headers, "content": _json(_one_of(names))}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _one_of(names: Sequence[str]) -> Schema:
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _page(item: str, function: str) -> Schema:
    properties: Schema = {"value": {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}}}
    required = ["value"]
    if ACTIONS[function].pages:
        properties["nextLink"] = {
            "type": "string",
            "description": "The address of the next page; if it is missing, this is the last page.",
        }
    if function in _BESIDE:
        name = _BESIDE[function]
        properties[name] = {"type": "string", "description": BESIDE[name]}
        required.append(name)
    return {"type": "object", "required": required, "properties": properties}
