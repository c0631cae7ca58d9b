"""Whether the documents of operations and the chains of evidence fit together."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import partial

from shared.doctor.check import Check, Probe, misfit_checks
from shared.doctor.storage import STORAGE_AWAY
from shared.opus.evidence.archive import Archive
from shared.opus.ledger.store import OperationStore
from shared.opus.restoring.chains import chain_repairs
from shared.opus.restoring.operations import operation_repairs
from shared.services import Services


def ledger_probes(services: Services) -> Iterator[Probe]:
    """Ask whether operations have their documents, and evidence its operations."""
    yield Probe("operations", partial(_fit, services), STORAGE_AWAY)


async def _fit(services: Services) -> Sequence[Check]:
    store, now = OperationStore(services.storage), services.clock()
    archive = Archive(store, clock=services.clock, sleep=asyncio.sleep, random=random.random)
    found = [one.misfit async for one in chain_repairs(services.storage, archive, now=now, is_off=False)]
    found += [one.misfit async for one in operation_repairs(store, archive, now=now, is_off=False)]
    if not found:
        return [Check.passed("operations", "operations and evidence fit together")]
    return misfit_checks("operations", found)
