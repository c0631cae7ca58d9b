"""Whether pointers and watermarks fit the snapshots that are stored."""

from collections.abc import Iterator, Sequence
from functools import partial

from shared.avepoint.catalog import catalog
from shared.azure.bounded_map import bounded_map
from shared.doctor.check import Check, Probe, misfit_checks
from shared.doctor.storage import STORAGE_AWAY
from shared.harvest.snapshots.consistency import misfits_of
from shared.services import Services

_AT_ONCE = 8


def snapshot_probes(services: Services) -> Iterator[Probe]:
    """Ask whether what ``latest`` and the watermarks name is there."""
    yield Probe("snapshots", partial(_fit, services), STORAGE_AWAY)


async def _fit(services: Services) -> Sequence[Check]:
    look = partial(misfits_of, services.storage, now=services.clock())
    found = [one for of_dataset in await bounded_map(look, catalog().values(), at_once=_AT_ONCE) for one in of_dataset]
    if not found:
        return [Check.passed("snapshots", "latest and the watermarks fit the snapshots that are stored")]
    return misfit_checks("snapshots", found)
