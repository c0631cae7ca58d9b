"""Every function of the contract is indexed, with its own trigger and schedule."""

import httpx
import pytest

from sandbox.host.process import RunningHost

TIMERS = {
    "harvest_enpower": "%HARVEST_ENPOWER_SCHEDULE%",
    "harvest_graph": "%HARVEST_GRAPH_SCHEDULE%",
    "harvest_elements": "%HARVEST_ELEMENTS_SCHEDULE%",
    "sweep": "%SWEEP_SCHEDULE%",
}
QUEUES = {
    "harvest_slice": "harvest-slices",
    "harvest_slice_poison": "harvest-slices-poison",
    "run_operation": "opus-operations",
    "run_operation_poison": "opus-operations-poison",
    "build_table": "table-builds",
    "build_table_poison": "table-builds-poison",
}
ROUTES = {
    "start_harvest": ("POST", "harvests"),
    "list_runs": ("GET", "runs"),
    "get_run": ("GET", "runs/{runId}"),
    "resume_run": ("POST", "runs/{runId}/resume"),
    "cancel_run": ("POST", "runs/{runId}/cancel"),
    "list_datasets": ("GET", "datasets"),
    "list_items": ("GET", "datasets/{source}/{dataset}/items"),
    "list_changes": ("GET", "datasets/{source}/{dataset}/changes"),
    "list_snapshots": ("GET", "datasets/{source}/{dataset}/snapshots"),
    "get_schema": ("GET", "datasets/{source}/{dataset}/schema"),
    "get_history": ("GET", "datasets/{source}/{dataset}/history"),
    "list_reports": ("GET", "reports"),
    "get_report": ("GET", "reports/{report}"),
    "on_snapshot": ("GET", "triggers/snapshots"),
    "on_change": ("GET", "triggers/changes"),
    "rebuild_table": ("POST", "datasets/{source}/{dataset}/rebuild"),
    "get_latest": ("GET", "datasets/{source}/{dataset}/latest"),
    "submit_records": ("POST", "opus/connections/{opusConnectionId}/records"),
    "list_due_records": ("GET", "opus/connections/{opusConnectionId}/records/due"),
    "destroy_records": ("POST", "opus/records/destroy"),
    "list_operations": ("GET", "operations"),
    "get_operation": ("GET", "operations/{operationId}"),
    "poll_operation": ("GET", "operations/{operationId}/poll"),
    "resolve_operation": ("POST", "operations/{operationId}/resolve"),
    "cancel_operation": ("POST", "operations/{operationId}/cancel"),
    "get_openapi": ("GET", "openapi.json"),
    "status_page": ("GET", "status"),
    "status_file": ("GET", "status/{file}"),
    "health": ("GET", "health"),
    "health_details": ("GET", "health/details"),
}

PROBED = {"health", "status_page", "status_file"}
ANONYMOUS = {*PROBED, "poll_operation"}

type Trigger = dict[str, object]


@pytest.fixture(scope="module")
async def triggers(host: RunningHost) -> dict[str, Trigger]:
    """The trigger of each function, as the runtime has indexed it."""
    async with httpx.AsyncClient(headers={"x-functions-key": host.key}) as client:
        functions = (await client.get(f"{host.url}/admin/functions")).json()
    return {function["name"]: function["config"]["bindings"][0] for function in functions}


def test_nothing_is_missing_and_nothing_is_more(triggers: dict[str, Trigger]) -> None:
    assert triggers.keys() == TIMERS.keys() | QUEUES.keys() | ROUTES.keys()


@pytest.mark.parametrize(("name", "schedule"), TIMERS.items())
def test_timers_follow_their_setting_and_keep_their_status(
    triggers: dict[str, Trigger], name: str, schedule: str
) -> None:
    trigger = triggers[name]
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", schedule)
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)


@pytest.mark.parametrize(("name", "queue"), QUEUES.items())
def test_workers_listen_on_their_queue(triggers: dict[str, Trigger], name: str, queue: str) -> None:
    trigger = triggers[name]
    assert (trigger["type"], trigger["queueName"]) == ("queueTrigger", queue)
    assert trigger["connection"] == "INVENTORY_STORAGE"


@pytest.mark.parametrize(("name", "route"), ROUTES.items())
def test_routes_take_one_method_and_a_key(triggers: dict[str, Trigger], name: str, route: tuple[str, str]) -> None:
    trigger = triggers[name]
    method, path = route
    methods = [method, "HEAD"] if name in PROBED else [method]
    assert (trigger["type"], trigger["methods"], trigger["route"]) == ("httpTrigger", methods, path)
    assert str(trigger["authLevel"]).lower() == ("anonymous" if name in ANONYMOUS else "function")
