"""docs/api.md is that of the functions, and its examples are what the functions answer."""

import json
import re
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from functions import operations, opus
from shared.services import Services
from tests.connector.reading import OPERATIONS
from tools.api_page import PAGE, Example, api_page, examples

HANDLERS = {
    "SubmitRecords": opus.submit_records,
    "ListDueRecords": opus.list_due_records,
    "DestroyRecords": opus.destroy_records,
    "ListOperations": operations.list_operations,
    "GetOperation": operations.get_operation,
    "CancelOperation": operations.cancel_operation,
    "ResolveOperation": operations.resolve_operation,
}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"OPUS_DESTROY_ENABLED": "true"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == api_page(), "run make docs"


def test_every_route_is_there() -> None:
    headings = set(re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE))
    assert {operation["summary"] for operation in OPERATIONS.values()} <= headings


def test_every_link_leads_somewhere() -> None:
    text = PAGE.read_text()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


async def test_every_example_is_what_the_app_answers(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened() -> Services:
        return services

    for module in (opus, operations):
        monkeypatch.setattr(module, "services", opened)
    first = ""
    for example in examples():
        response = await HANDLERS[example.operation](request(example, first))
        answered = json.loads(response.get_body())
        first = first or answered["operationId"]
        assert response.status_code == example.status, answered
        assert shape(answered) == shape(example.response), example.says


def request(example: Example, first: str) -> func.HttpRequest:
    parts = urlsplit(example.path.replace("{first}", first))
    segments = parts.path.split("/")
    route = {"opusConnectionId": segments[3]} if segments[1:3] == ["opus", "connections"] else {}
    if segments[1] == "operations" and len(segments) > 2:
        route = {"operationId": segments[2]}
    return func.HttpRequest(
        "POST" if example.body is not None else "GET",
        f"https://app.example/api{parts.path}{f'?{parts.query}' if parts.query else ''}",
        headers=example.headers,
        params=dict(parse_qsl(parts.query)),
        route_params=route,
        body=json.dumps(example.body).encode() if example.body is not None else b"",
    )


VARIES = {"operationId", "createdAt", "finishedAt", "url"}


def shape(value: object, name: str = "") -> object:
    """A value, with what differs from call to call by its type alone."""
    if isinstance(value, dict):
        return {key: shape(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__ if name in VARIES else value
