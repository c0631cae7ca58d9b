"""Every operation of the app through the generated client, on an app whose first destroy is put off once."""

import os
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from client import AuthenticatedClient, Client
from client.api.app import get_openapi, health, health_details
from client.api.datasets import get_latest, list_datasets, list_snapshots
from client.api.harvests import cancel_run, get_run, list_runs, resume_run, start_harvest
from client.api.operations import (
    cancel_operation,
    get_operation,
    list_operations,
    poll_operation,
    resolve_operation,
)
from client.api.opus import destroy_records, list_due_records, submit_records
from client.api.reports import get_report, list_reports
from client.api.tables import get_history, get_schema, list_changes, list_items, rebuild_table
from client.api.triggers import on_change, on_snapshot
from client.models import (
    ConflictOption,
    DestroyRequest,
    Error,
    FailedOperation,
    GetHistorySource,
    GetLatestSource,
    GetSchemaSource,
    HarvestRequest,
    HarvestRequestSource,
    ListChangesSource,
    ListDatasetsSource,
    ListItemsSource,
    ListSnapshotsSource,
    NumberColumn,
    Operation,
    RebuildTableSource,
    RecordInput,
    Rehearsal,
    Resolved,
    ResolveRequest,
    Run,
    RunPlan,
    SubmitRequest,
)
from client.types import Response
from httpx import Timeout

API = f"{os.environ['APP']}/api"
APP = AuthenticatedClient(API, os.environ["KEY"], prefix="", auth_header_name="x-functions-key", timeout=Timeout(60))
STRANGER = Client(API, timeout=Timeout(60))
DATASET = "enpower-powerapps"
CONNECTION = UUID("b4bbdbbd-cf2d-5c44-939b-be86bc688035")
LONG_AGO = datetime(2020, 1, 15, 8, 30, tzinfo=UTC)


def answered[T, K](response: Response[T], kind: type[K], status: int = 200) -> K:
    """What a call gives, which is of a kind."""
    assert response.status_code == status, response.content
    assert isinstance(response.parsed, kind), response.content
    return response.parsed


def wait[T](response: Response[T]) -> None:
    time.sleep(int(response.headers["Retry-After"]))


def harvested() -> Run:
    body = HarvestRequest(source=HarvestRequestSource.GRAPH, datasets=[DATASET])
    answered(start_harvest.sync_detailed(client=APP, body=body, dry_run=True), RunPlan)
    started = answered(start_harvest.sync_detailed(client=APP, body=body), Run, 202)
    while (seen := get_run.sync_detailed(started.run_id, client=APP, wait=True)).status_code == 202:
        answered(seen, Run, 202)
        wait(seen)
    return answered(seen, Run)


def wait_for_table(run: Run) -> None:
    while True:
        listed = list_datasets.sync(client=APP, source=ListDatasetsSource.GRAPH)
        assert listed is not None
        assert not isinstance(listed, Error)
        table = next(one.table for one in listed.value if one.name == DATASET)
        if (table.run_id, table.state) == (run.run_id, "current"):
            return
        time.sleep(0.5)


def of_the_app() -> None:
    while health.sync_detailed(client=STRANGER).status_code != 200:
        time.sleep(0.5)
    assert health_details.sync_detailed(client=APP).status_code == 200
    assert get_openapi.sync_detailed(client=APP).status_code == 200


def of_runs_and_tables() -> None:
    begun = (on_snapshot.sync_detailed(client=APP), on_change.sync_detailed(client=APP))
    assert all("triggerState=" in one.headers["Location"] for one in begun)
    run = harvested()
    assert run.state == "succeeded"
    listed = list_runs.sync(client=APP, top=1)
    assert listed is not None
    assert not isinstance(listed, Error)
    assert listed.value[0].run_id == run.run_id
    for change in (resume_run, cancel_run):
        answered(change.sync_detailed(run.run_id, client=APP), Run)
    wait_for_table(run)
    missing = answered(get_latest.sync_detailed(GetLatestSource.GRAPH, "enpower-apps", client=APP), Error, 404)
    assert missing.error.code == "NotFound"
    rows = list_items.sync(ListItemsSource.GRAPH, DATASET, client=APP, top=10, select="id,displayName")
    assert rows is not None
    assert not isinstance(rows, Error)
    assert isinstance(rows.value[0]["displayName"], str)
    changes = list_changes.sync(ListChangesSource.GRAPH, DATASET, client=APP)
    assert changes is not None
    assert not isinstance(changes, Error)
    assert changes.until == run.run_id
    for response in (
        get_latest.sync_detailed(GetLatestSource.GRAPH, DATASET, client=APP),
        list_snapshots.sync_detailed(ListSnapshotsSource.GRAPH, DATASET, client=APP),
        get_schema.sync_detailed(GetSchemaSource.GRAPH, DATASET, client=APP),
        get_history.sync_detailed(GetHistorySource.GRAPH, DATASET, client=APP),
        list_reports.sync_detailed(client=APP),
        get_report.sync_detailed("growth", client=APP),
    ):
        assert response.status_code == 200, response.content
        assert response.parsed is not None
    assert rebuild_table.sync_detailed(RebuildTableSource.GRAPH, DATASET, client=APP).status_code == 202
    wait_for_table(run)


def record(key: str) -> RecordInput:
    return RecordInput(
        row_key=key,
        leaf_name=key,
        time_created=LONG_AGO,
        time_modified=LONG_AGO,
        created_by="ann",
        modified_by="ben",
    )


def of_opus() -> None:
    custom = record("py-a")
    custom["contractValue"] = NumberColumn(type_="number", value=4.5)
    body = SubmitRequest(conflict_option=ConflictOption.OVERWRITE, records=[custom, record("py-b")])
    assert answered(submit_records.sync_detailed(CONNECTION, client=APP, body=body), Operation).succeeded == 2
    due = list_due_records.sync(CONNECTION, client=APP, before=datetime.now(UTC), top=1)
    assert due is not None
    assert not isinstance(due, Error)
    assert due.value[0].row_key == "py-a"

    wanted = DestroyRequest(ids=["py-a", "py-b"])
    rehearsed = destroy_records.sync_detailed(client=APP, body=wanted, dry_run=True, idempotency_key="py")
    assert len(answered(rehearsed, Rehearsal).requests) == 1
    accepted = destroy_records.sync_detailed(client=APP, body=wanted, idempotency_key="py")
    started = answered(accepted, Operation, 202)
    assert started.status in {"NotStarted", "Running"}
    (token,) = parse_qs(urlsplit(accepted.headers["Location"]).query)["token"]
    while (
        polled := poll_operation.sync_detailed(started.operation_id, client=STRANGER, token=token)
    ).status_code == 202:
        wait(polled)
    ended = answered(polled, Operation)
    assert ended.status == "Succeeded"
    assert answered(get_operation.sync_detailed(ended.operation_id, client=APP), Operation) == ended
    answered(cancel_operation.sync_detailed(ended.operation_id, client=APP), Operation)
    assert list_operations.sync_detailed(client=APP).status_code == 200

    word = ResolveRequest(outcome=Resolved.SUCCEEDED, note="Looked into Opus.", checked_by="ann")
    answered(resolve_operation.sync_detailed(ended.operation_id, client=APP, body=word), Error, 409)
    again = destroy_records.sync_detailed(client=APP, body=wanted, idempotency_key="py-again")
    failed = answered(again, FailedOperation, 422)
    assert (failed.error.code, len(failed.operation.failed)) == ("AllFailed", 2)


of_the_app()
of_runs_and_tables()
of_opus()
