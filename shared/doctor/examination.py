"""All checks together: what the caches know or, on request, what everything answers now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain

from shared.avepoint.platform import SOURCES, Source
from shared.azure.storage import Container
from shared.doctor.avepoint import avepoint_probes
from shared.doctor.cached import known_tokens, secret_checks, token_check
from shared.doctor.check import Check, Probe, answered, setting_checks
from shared.doctor.ledger import ledger_probes
from shared.doctor.snapshots import snapshot_probes
from shared.doctor.storage import STORAGE_AWAY, damage_checks, storage_probes
from shared.doctor.tables import tables_probes
from shared.doctor.verification import verification_probes
from shared.errors import Misconfigured
from shared.harvest.plan.choosing import configured
from shared.services import Services
from shared.settings import Settings, load_settings

RECHECKED_AFTER = timedelta(minutes=1)
"""How often at most a failure makes ``examine`` ask again without being told to look."""

type Open = Callable[[], Awaitable[Services]]


async def examine(open_services: Open, *, look: bool = False) -> list[Check]:
    """All checks, in the order in which one depends on another; each in bounded time, and nothing is raised.

    Args:
        look: Ask everything the app depends on; what it takes of AvePoint counts against the request budget. Without
            it a blob is read, and what the caches know has to do: anybody may ask for the health of the app, as often
            as they like.
    """
    try:
        settings = load_settings()
    except Misconfigured as error:
        return list(setting_checks(error))
    checks = [Check.passed("settings", "all app settings are well formed")]
    checks += chain.from_iterable(_chosen(settings, source) for source in SOURCES)
    services, faults = await _opened(open_services)
    if services is None:
        return [*checks, *faults]
    return [*checks, *await (_looked_at(services) if look else _remembered(services))]


async def _opened(open_services: Open) -> tuple[Services | None, Sequence[Check]]:
    """Return the services, or why there are none."""
    opened: list[Services] = []

    async def opening() -> Sequence[Check]:
        try:
            opened.append(await open_services())
        except Misconfigured as error:
            return list(setting_checks(error))
        return []

    faults = await answered(Probe("storage", opening, STORAGE_AWAY))
    return next(iter(opened), None), faults


def _chosen(settings: Settings, source: Source) -> Iterator[Check]:
    """Whether the datasets of a source can be harvested."""
    try:
        datasets = configured(settings, source)
        if datasets:
            settings.base_url(source)
    except Misconfigured as error:
        yield from setting_checks(error)
    else:
        yield Check.passed(f"datasets/{source}", f"datasets chosen: {len(datasets)}")


async def _looked_at(services: Services) -> Iterator[Check]:
    """Yield what everything answers, all asked at once."""
    probes = chain(
        storage_probes(services.storage, services.tables),
        tables_probes(services),
        snapshot_probes(services),
        verification_probes(services),
        ledger_probes(services),
        avepoint_probes(services),
    )
    found = await asyncio.gather(*map(answered, probes))
    return chain(secret_checks(services), *found, damage_checks())


async def _remembered(services: Services) -> Iterator[Check]:
    """Yield what is known; what failed is asked for again, in the background and now and then: it may be over."""
    services.tokens.retry_failed(older_than=RECHECKED_AFTER)
    if services.secrets is not None:
        services.secrets.retry_failed(older_than=RECHECKED_AFTER)
    storage = await answered(Probe("storage", partial(_read, services), STORAGE_AWAY))
    tokens = (token_check(services, key) for key in known_tokens(services))
    return chain(secret_checks(services), storage, tokens)


async def _read(services: Services) -> Sequence[Check]:
    await services.storage.read(Container.HARVEST_STATE, "health")
    return [Check.passed("storage", "a blob can be asked for")]
