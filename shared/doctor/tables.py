"""Whether the tables are built, and fit their snapshots and their files."""

from collections.abc import Iterator, Sequence
from functools import partial

from shared.doctor.check import Check, Probe, misfit_checks
from shared.doctor.storage import STORAGE_AWAY
from shared.services import Services
from shared.tables.serving.table_info import table_info, table_states


def tables_probes(services: Services) -> Iterator[Probe]:
    """Ask which tables there are, which of them could not be built, and whether their files are there."""
    yield Probe("tables", partial(_built, services), STORAGE_AWAY)
    yield Probe("tables/files", partial(_fit, services), STORAGE_AWAY)


async def _built(services: Services) -> Sequence[Check]:
    """Return a warning for each table that could not be built: the old one stands, and the app tries again."""
    states = await table_states(services.storage)
    told = {key: table_info(state, services.settings, *key, latest_run=None) for key, state in states.items()}
    failed = {key: info for key, info in told.items() if info.state == "failed"}
    if not failed:
        return [Check.passed("tables", f"tables built: {sum(info.state != 'off' for info in told.values())}")]
    return [
        Check(
            name=f"tables/{source}/{dataset}",
            status="warning",
            message=info.reason or "it could not be built",
            remedy="The app tries again within the hour; see 'When something is wrong' in docs/tables.md.",
        )
        for (source, dataset), info in failed.items()
    ]


async def _fit(services: Services) -> Sequence[Check]:
    """Return an error for each table that does not fit its snapshots or its files."""
    from shared.tables.build.repairing import table_repairs

    found = [one.misfit async for one in table_repairs(services.storage, services.tables, clock=services.clock)]
    if not found:
        return [Check.passed("tables/files", "the tables fit their snapshots and their files")]
    return misfit_checks("tables/files", found)
