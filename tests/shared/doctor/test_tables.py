"""A table that could not be built is named, with the reason, and is no failure of the app."""

from shared.azure.storage import Container
from shared.doctor.check import answered
from shared.doctor.ledger import ledger_probes
from shared.doctor.tables import tables_probes
from shared.services import Services
from shared.tables.build.state import Ground, TableState
from tests.conftest import Clock


async def test_a_table_that_failed_is_a_warning(services: Services, clock: Clock) -> None:
    probe, _ = tables_probes(services)
    assert [check.status for check in await answered(probe)] == ["ok"]
    failed = TableState(source="graph", dataset="aos-jobs").failed("why", "do this", run_id=None, now=clock())
    path = "tables/graph/aos-jobs.json"
    etag = await services.storage.write(Container.HARVEST_STATE, path, failed.to_json(), etag=None)
    (check,) = await answered(probe)
    assert (check.name, check.status) == ("tables/graph/aos-jobs", "warning")
    assert "why" in check.message
    await services.storage.write(Container.HARVEST_STATE, path, b"{", etag=etag)
    (check,) = await answered(probe)
    assert (check.name, check.status) == ("tables/graph/aos-jobs", "warning")
    assert "cannot be read" in check.message


async def test_a_table_ahead_of_its_snapshot_is_an_error(services: Services) -> None:
    _, probe = tables_probes(services)
    assert [check.status for check in await answered(probe)] == ["ok"]
    ahead = TableState(source="graph", dataset="aos-jobs", ground=Ground(run_id="20260101T000000Z-graph"))
    path = "tables/graph/aos-jobs.json"
    await services.storage.write(Container.HARVEST_STATE, path, ahead.to_json(), etag=None)
    (check,) = await answered(probe)
    assert (check.name, check.status) == (f"tables/files/{path}", "error")
    assert "latest names none" in check.message
    assert "doctor --repair" in check.remedy


async def test_an_operation_without_its_request_is_an_error(services: Services, clock: Clock) -> None:
    (probe,) = ledger_probes(services)
    assert [check.status for check in await answered(probe)] == ["ok"]
    path = f"operations/{'a' * 32}/state.json"
    await services.storage.write(Container.OPERATIONS, path, b"{}", etag=None)
    assert [check.status for check in await answered(probe)] == ["ok"]  # somebody may be at it
    clock.advance(hours=1)
    (check,) = await answered(probe)
    assert (check.name, check.status) == (f"operations/operations/{'a' * 32}/order.json", "error")
    assert "state.json is there" in check.message
