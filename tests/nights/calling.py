"""Programs that call the app: its functions themselves, in a process of the organisation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode

import azure.functions as func

from functions import datasets, harvest, opus, triggers
from shared import services as building
from shared.services import Services
from tests.infra.kql import Row
from tests.opus.world import CONNECTION

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]

CALLS: Mapping[str, tuple[str, Handler, Mapping[str, str]]] = {
    "triggers/snapshots": ("on_snapshot", triggers.on_snapshot, {}),
    "datasets": ("list_datasets", datasets.list_datasets, {}),
    f"opus/connections/{CONNECTION}/records/due": (
        "list_due_records",
        opus.list_due_records,
        {"opusConnectionId": CONNECTION},
    ),
}
"""The functions that programs call, by path, with the parameters of the route."""


async def sweep(services: Services) -> None:
    """Do what the timer of the sweep does."""
    await _serve(services)
    await harvest.sweep(None)


async def call(services: Services, path: str, query: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Call a function, and return what it answers."""
    await _serve(services)
    _, handler, route = CALLS[path]
    url = f"https://app.example/api/{path}?{urlencode(query or {})}"
    return await handler(func.HttpRequest("GET", url, headers={}, params=query or {}, route_params=route, body=b""))


def request_row(path: str, response: func.HttpResponse, *, at: datetime) -> Row:
    """Return what the Functions host tells of a call."""
    url = f"https://app.example/api/{path}"
    name, _, _ = CALLS[path]
    return {"timestamp": at, "name": name, "url": url, "resultCode": str(response.status_code), "operation_Id": ""}


async def _serve(services: Services) -> None:
    """Let the functions find the services of a process."""

    async def opened() -> Services:
        return services

    loop = asyncio.get_running_loop()
    task = building._opening[loop] = loop.create_task(opened())  # noqa: SLF001 - as the first call of a process does
    await task
