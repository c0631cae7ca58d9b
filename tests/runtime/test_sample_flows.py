"""The sample flows of docs/flows.md at work: their steps call the app, and a stand-in mails and approves."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.host.process import RunningHost
from tests.conftest import Simulator
from tests.connector.test_samples import DEFINITIONS, FLOWS
from tests.connector.workflow import Workflow
from tests.runtime.conftest import built
from tools.connector.schemas import Schema

DATASET = "enpower-powerapps"
CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
TIMES = dict.fromkeys(("timeCreated", "timeModified"), "2026-01-15T08:30:00Z")
KEYS = [f"contract-{number}" for number in range(7)]
DUE = [{"rowKey": key, "leafName": f"Name of {key}", **TIMES, "createdBy": "a", "modifiedBy": "a"} for key in KEYS]
MANAGER = "records.manager@example.com"
ITEM = {"ID": 17, "Title": "Lease", "Created": TIMES["timeCreated"], "Modified": TIMES["timeModified"]}
ITEM |= {name: {"Email": "ana@contoso.example"} for name in ("Author", "Editor")}

pytestmark = pytest.mark.usefixtures("services")


@pytest.fixture
async def app(host: RunningHost) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=host.url, headers={"x-functions-key": host.key}, timeout=60) as client:
        yield client


def flow(title: str, app: httpx.AsyncClient, given: dict[str, object], **more: Any) -> Workflow:  # noqa: ANN401 - JSON
    return Workflow(FLOWS[title]["properties"]["definition"], app, given, **more)


def destroying(app: httpx.AsyncClient, approve: Callable[[], Schema]) -> Workflow:
    given: dict[str, object] = {"opusConnectionId": CONNECTION, "batch": 3}
    return flow("destroy due records", app, given, answers={"StartAndWaitForAnApproval": approve})


def destroyed(avepoint: Simulator) -> list[tuple[str, ...]]:
    """The row keys of each destroy that Opus carried out, and of which none failed."""
    done = [one for one in avepoint.avepoint.opus.executions if one.operation == "destroy"]
    assert all(not one.failed for one in done)
    return [one.row_keys for one in done]


async def submitted(app: httpx.AsyncClient) -> None:
    body = {"conflictOption": "Overwrite", "records": DUE}
    answer = await app.post(f"/api/opus/connections/{CONNECTION}/records", json=body)
    assert answer.json()["succeeded"] == len(DUE), answer.text


async def test_what_is_due_is_destroyed_in_batches_once_it_is_approved(
    app: httpx.AsyncClient, avepoint: Simulator
) -> None:
    await submitted(app)
    run = destroying(app, lambda: {"outcome": "Approve"})
    await run.run()
    assert destroyed(avepoint) == [tuple(KEYS[:3]), tuple(KEYS[3:6]), tuple(KEYS[6:])]
    (asked,) = run.sent["StartAndWaitForAnApproval"]
    assert asked["WebhookApprovalCreationInput/title"] == "Destroy 7 records that are due in AvePoint Opus"
    assert "- Name of contract-6 (contract-6)" in asked["WebhookApprovalCreationInput/details"]
    (mail,) = run.sent["SendEmailV2"]
    assert mail["emailMessage/To"] == MANAGER
    assert mail["emailMessage/Subject"] == "AvePoint Opus: what became of 7 records"
    assert mail["emailMessage/Body"].count('"Status": "Succeeded"') == 3
    await destroying(app, lambda: {"outcome": "Approve"}).run()
    assert len(destroyed(avepoint)) == 3


async def test_nothing_is_destroyed_that_was_not_approved(app: httpx.AsyncClient, avepoint: Simulator) -> None:
    await submitted(app)
    run = destroying(app, lambda: {"outcome": "Reject"})
    await run.run()
    assert destroyed(avepoint) == []
    assert "SendEmailV2" not in run.sent


async def test_nobody_is_asked_where_nothing_is_due(app: httpx.AsyncClient) -> None:
    run = destroying(app, lambda: {"outcome": "Approve"})
    await run.run()
    assert run.sent == {}


async def test_what_is_no_longer_due_is_told_in_the_mail(app: httpx.AsyncClient, avepoint: Simulator) -> None:
    """The first batch was destroyed by somebody else while the approval waited: a 422, and the others go on."""
    await submitted(app)

    def approve() -> Schema:
        avepoint.avepoint.opus.dispose({"disposalIds": KEYS[:3]}, timedelta(), fail=None)
        return {"outcome": "Approve"}

    run = destroying(app, approve)
    await run.run()
    assert destroyed(avepoint)[1:] == [tuple(KEYS[3:6]), tuple(KEYS[6:])]
    body = run.sent["SendEmailV2"][0]["emailMessage/Body"]
    assert body.count('"Status": "Succeeded"') == 2
    assert '"Status": "AllFailed", "Destroyed": 0, "Failed": 3, "Uncertain": 0' in body


async def test_a_new_list_item_becomes_a_record(app: httpx.AsyncClient, avepoint: Simulator) -> None:
    run = flow("submit list items", app, {"opusConnectionId": CONNECTION, "list": "list"}, trigger=ITEM)
    await run.run()
    (record,) = avepoint.avepoint.opus.records
    assert (record.row_key, record.fields["leafName"], record.fields["createdBy"]) == (
        "list-17",
        "Lease",
        "ana@contoso.example",
    )
    assert run.sent == {}


async def test_somebody_is_told_of_an_item_that_opus_refuses(app: httpx.AsyncClient, avepoint: Simulator) -> None:
    avepoint.fault(method="POST", path="/records/connector/records", failRowKeys="list-17", times=None)
    run = flow("submit list items", app, {"opusConnectionId": CONNECTION, "list": "list"}, trigger=ITEM)
    await run.run()
    (mail,) = run.sent["SendEmailV2"]
    assert mail["emailMessage/Subject"] == "AvePoint Opus: item 17 was not submitted (AllFailed)"
    assert "Term not found" in mail["emailMessage/Body"]


async def test_nobody_is_mailed_where_nothing_waits(app: httpx.AsyncClient) -> None:
    run = flow("report what waits", app, {})
    await run.run()
    assert run.statuses["Anything_uncertain"] == "Succeeded"
    assert run.sent == {}


def reporting(host: RunningHost, app: httpx.AsyncClient, key: str) -> Workflow:
    given: dict[str, object] = {"appUrl": host.url, "functionKey": key, "mailTo": MANAGER, "freshHours": 26}
    return Workflow(DEFINITIONS["nightly report"], app, given)


class WithoutChanges(httpx.AsyncHTTPTransport):
    """Calls an app that can list no changes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/changes"):
            error: Schema = {"code": "Unavailable", "message": "Storage is away.", "target": None, "details": []}
            return httpx.Response(httpx.codes.SERVICE_UNAVAILABLE, json={"error": error})
        return await super().handle_async_request(request)


@pytest.mark.slow
async def test_the_nightly_report_tells_what_is_late_and_what_changed(
    host: RunningHost, app: httpx.AsyncClient, client: httpx.AsyncClient, avepoint: Simulator
) -> None:
    for night in (0, 1):
        avepoint.avepoint.change({"items": 60, "night": night})
        run_id = await built(client, DATASET)
    run = reporting(host, app, host.key)
    await run.run()
    (mail,) = run.sent["/v2/Mail"]
    assert mail["To"] == MANAGER
    late, of_all = map(int, re.findall(r"(\d+) of (\d+) datasets are late", mail["Subject"])[0])
    assert late == of_all - 1
    assert f'"Dataset": "graph/{DATASET}", "Items": ' in mail["Body"]
    assert run_id in mail["Body"]
    assert f"<h3>Changes in graph/{DATASET}</h3>" in mail["Body"]
    assert "without an active owner" in mail["Body"]
    assert mail["Importance"] == "High"


async def test_the_nightly_report_says_whose_changes_it_could_not_read(host: RunningHost) -> None:
    headers = {"x-functions-key": host.key}
    async with httpx.AsyncClient(headers=headers, timeout=60, transport=WithoutChanges()) as caller:
        run = reporting(host, caller, host.key)
        await run.run()
    (mail,) = run.sent["/v2/Mail"]
    assert f"<h3>Changes in graph/{DATASET}</h3><p>They could not be read: Storage is away.</p>" in mail["Body"]
    assert mail["Importance"] == "High"


async def test_the_nightly_report_says_so_when_it_cannot_be_made(host: RunningHost) -> None:
    async with httpx.AsyncClient() as stranger:
        run = reporting(host, stranger, "another key")
        await run.run()
    (mail,) = run.sent["/v2/Mail"]
    assert mail["Subject"] == "AvePoint inventory: the report could not be made"
