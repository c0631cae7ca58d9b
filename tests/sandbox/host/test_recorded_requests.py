"""The local host answers every recorded request as the host of Azure does (tests/recordings)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import pytest
from azure.functions.meta import Datum

from sandbox.host.runtime import Function, Outcome, Runtime
from sandbox.host.server import Host
from sandbox.host.settings import HostJson
from sandbox.serving import listen
from tests.recordings import recorded

type Template = tuple[str, str, Sequence[str] | None]

GET, POST = ("GET",), ("POST",)
ROUTES: list[Template] = [
    ("cancel_operation", "operations/{operationId}/cancel", POST),
    ("cancel_run", "runs/{runId}/cancel", POST),
    ("destroy_records", "opus/records/destroy", POST),
    ("get_history", "datasets/{source}/{dataset}/history", GET),
    ("get_latest", "datasets/{source}/{dataset}/latest", GET),
    ("get_operation", "operations/{operationId}", GET),
    ("get_report", "reports/{report}", GET),
    ("get_run", "runs/{runId}", GET),
    ("get_schema", "datasets/{source}/{dataset}/schema", GET),
    ("health", "health", GET),
    ("health_details", "health/details", GET),
    ("list_changes", "datasets/{source}/{dataset}/changes", GET),
    ("list_datasets", "datasets", GET),
    ("list_due_records", "opus/connections/{opusConnectionId}/records/due", GET),
    ("list_items", "datasets/{source}/{dataset}/items", GET),
    ("list_operations", "operations", GET),
    ("list_reports", "reports", GET),
    ("list_runs", "runs", GET),
    ("list_snapshots", "datasets/{source}/{dataset}/snapshots", GET),
    ("on_change", "triggers/changes", GET),
    ("on_snapshot", "triggers/snapshots", GET),
    ("poll_operation", "operations/{operationId}/poll", GET),
    ("rebuild_table", "datasets/{source}/{dataset}/rebuild", POST),
    ("resolve_operation", "operations/{operationId}/resolve", POST),
    ("resume_run", "runs/{runId}/resume", POST),
    ("start_harvest", "harvests", POST),
    ("status_page", "status/{file?}", GET),
    ("submit_records", "opus/connections/{opusConnectionId}/records", POST),
]
CASES = recorded("host/routes")
GROUPS = {
    name: list(cases)
    for name, cases in groupby(sorted(CASES, key=lambda case: case["group"]), lambda case: case["group"])
}


class Mirror(Runtime):
    """Answers with what the function is given, as JSON."""

    async def invoke(self, function: Function, _: str, trigger: Datum, __: Mapping[str, Datum]) -> Outcome:
        parts = trigger.value
        texts = {name: {key: one.value for key, one in parts[name].items()} for name in ("params", "query")}
        seen = {"function": function.name, "url": parts["url"].value, "body": parts["body"].value.decode(), **texts}
        return Outcome(succeeded=True, returned=Datum(json.dumps(seen), "string"))


@asynccontextmanager
async def mirror(templates: Sequence[Template], *, auth: str = "ANONYMOUS") -> AsyncIterator[int]:
    """A host with these routes; yields its port."""
    functions = tuple(
        Function(
            name,
            name,
            ({"type": "httpTrigger", "name": "req", "route": route, "methods": methods or (), "authLevel": auth},),
        )
        for name, route, methods in templates
    )
    keys = {"SANDBOX_FUNCTION_KEY": "k", "SANDBOX_FUNCTION_KEYS": '{"health": "own"}'}
    host = Host(Mirror(functions), HostJson(version="2.0"), keys)
    listening, stop = listen(0), asyncio.Event()
    serving = asyncio.create_task(host.serve(listening, stop))
    try:
        yield listening.getsockname()[1]
    finally:
        stop.set()
        await serving


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with mirror(ROUTES) as port:
        yield port


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[int]:
    async with mirror(ROUTES, auth="FUNCTION") as port:
        yield port


async def send(port: int, method: str, target: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request line as it is; return status and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""))
    writer.write(head.encode("utf-8") + body)
    try:
        answered, _, content = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(answered.split(b" ")[1]), content


def seen_by_the_function(case: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "function": case["function"],
        "params": case["params"],
        "query": case.get("query", {}),
        "url": case.get("reqUrl", f"http://localhost{case['url']}").removesuffix("?"),
    }


@pytest.mark.parametrize("group", GROUPS)
async def test_every_recorded_request_is_answered_as_recorded(group: str) -> None:
    cases = GROUPS[group]
    async with mirror(cases[0].get("routes", ROUTES)) as port:
        for case in cases:
            status, body = await send(port, case["method"], case["url"])
            if "status" in case:
                assert (status, case["url"]) == (case["status"], case["url"])
            else:
                assert status == 200, case["url"]
                expected = seen_by_the_function(case)
                seen = json.loads(body)
                assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/api/reports/%00", (), 400),
        ("/api/reports/" + "a" * (8192 - len("GET /api/reports/ HTTP/1.1\r\n")), (), 200),
        ("/api/reports/" + "a" * (8193 - len("GET /api/reports/ HTTP/1.1\r\n")), (), 414),
        ("/api/reports/" + "a" * 100_000, (), 414),
        ("/api/health", (f"X: {'a' * 33_000}",), 431),
        ("/api/health", (f"X: {'a' * 100_000}",), 431),
        ("/api/health", tuple(f"X{number}: a" for number in range(100)), 431),
        ("http://localhost/api/health", (), 200),
        ("*", (), 405),
        ("localhost:80", (), 405),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_limits_and_forms_of_the_request_line(
    port: int, target: str, headers: tuple[str, ...], status: int
) -> None:
    answered, body = await send(port, "GET", target, *headers)
    assert answered == status
    assert (answered == 200) == bool(body)


async def test_a_body_without_a_length_arrives_empty() -> None:
    async with mirror(ROUTES) as port:
        _, measured = await send(port, "POST", "/api/harvests", "Content-Length: 2", body=b"{}")
        _, chunked = await send(
            port, "POST", "/api/harvests", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"
        )
    assert (json.loads(measured)["body"], json.loads(chunked)["body"]) == ("{}", "")


async def test_a_body_of_more_than_100_mib_is_500_before_the_function(port: int) -> None:
    assert await send(port, "POST", "/api/harvests", f"Content-Length: {100 * 1024 * 1024 + 1}") == (500, b"")


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/api/health", ("x-functions-key: k",), 200),
        ("/api/health?code=k", (), 200),
        ("/api/health?Code=k", (), 200),
        ("/api/health?code=k", ("x-functions-key:",), 401),
        ("/api/health?code=k", ("x-functions-key: wrong",), 401),
        ("/api/health?code=wrong", ("x-functions-key: k",), 200),
        ("/api/health?code=", (), 401),
        ("/api/health", (), 401),
        ("/api/nothing", (), 404),
    ],
)
async def test_a_key_in_the_header_even_an_empty_one_beats_the_one_in_the_query(
    guarded: int, target: str, headers: tuple[str, ...], status: int
) -> None:
    assert (await send(guarded, "GET", target, *headers))[0] == status


@pytest.mark.parametrize(("auth", "status"), [("FUNCTION", 200), ("ADMIN", 401)])
async def test_the_key_of_a_function_does_not_open_what_wants_the_master_key(auth: str, status: int) -> None:
    async with mirror(ROUTES, auth=auth) as port:
        assert (await send(port, "GET", "/api/health", "x-functions-key: own"))[0] == status
        assert (await send(port, "GET", "/api/health", "x-functions-key: k"))[0] == 200
