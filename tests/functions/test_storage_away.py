"""Lists answer 503 while Azure Storage is away, and say when to try again (promise 4)."""

import json
from collections.abc import Awaitable, Callable

import azure.functions as func
import pytest

from functions import datasets, runs
from shared.azure.storage import Container, Storage, Stored
from shared.errors import StorageUnavailable
from shared.harvest.plan import paths
from shared.harvest.runs.starting import start_requested
from shared.services import Services


@pytest.mark.parametrize(
    ("path", "function"), [("runs", runs.list_runs), ("datasets", datasets.list_datasets)], ids=["runs", "datasets"]
)
async def test_a_list_that_storage_does_not_answer(
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    function: Callable[[func.HttpRequest], Awaitable[func.HttpResponse]],
) -> None:
    await start_requested(services, "graph", ["enpower-powerapps"])
    await services.storage.write(Container.INVENTORY, paths.latest("graph", "enpower-powerapps"), b"{}", etag=None)

    async def opened() -> Services:
        return services

    async def away(_self: Storage, container: Container, path: str) -> Stored:
        raise StorageUnavailable(f"{container}/{path}: Azure Storage answered 503")

    for module in (runs, datasets):
        monkeypatch.setattr(module, "services", opened)
    monkeypatch.setattr(type(services.storage), "read", away)

    answer = await function(func.HttpRequest(method="GET", url=f"https://app.example/api/{path}", body=b""))

    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert json.loads(answer.get_body())["error"]["code"] == "Unavailable"
