"""The inventory at a glance: every dataset, its newest snapshot, and when the next one is due."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.avepoint.catalog import Dataset, DatasetKind, catalog
from shared.avepoint.platform import SOURCES, Source
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.azure.storage import Container, Storage
from shared.document import Document
from shared.harvest.plan import paths
from shared.harvest.plan.choosing import configured
from shared.harvest.snapshots.manifest import Latest, Verdict, check_latest, read_latest
from shared.services import Services
from shared.telemetry.events import log_event

_DAY = timedelta(days=1)

log = logging.getLogger(__name__)


class Entry(Document):
    """A dataset and its newest snapshot; ``next_tick`` is there only when a timer harvests it."""

    name: str
    source: Source
    kind: DatasetKind
    enabled: bool
    latest_run: str | None
    verdict: Verdict | None
    age_seconds: int | None
    items: int | None
    next_tick: datetime | None


async def list_inventory(services: Services) -> Sequence[Entry]:
    """Every dataset of the catalogue.

    Raises:
        Misconfigured: A configured name matches no dataset.
    """
    now = services.clock()
    enabled = {(source, one.name) for source in SOURCES for one in configured(services.settings, source)}
    ticks = {source: services.settings.schedule(source).next(now) for source in SOURCES}
    there = {path async for path in services.storage.list(Container.INVENTORY, paths.LATEST)}

    async def look(dataset: Dataset) -> Latest | None:
        path = paths.latest(dataset.source, dataset.name)
        if path not in there:
            return None
        return await unless_unusable(path, _newest(services.storage, dataset.source, dataset.name, now))

    newest = await bounded_map(look, catalog().values())
    return [
        _entry(dataset, latest, now, next_due=ticks[dataset.source] if key in enabled else None)
        for (key, dataset), latest in zip(catalog().items(), newest, strict=True)
    ]


async def _newest(storage: Storage, source: Source, dataset: str, now: datetime) -> Latest | None:
    latest = await read_latest(storage, source, dataset)
    return check_latest(latest, source=source, dataset=dataset, now=now) if latest else None


async def tell_ages(services: Services) -> None:
    """Log how old the newest snapshots are, and how many datasets timers harvest, so that their absence is noticed.

    Raises:
        Misconfigured: A configured name matches no dataset.
    """
    entries, now = await list_inventory(services), services.clock()
    log_event(log, "datasets.counted", count=sum(entry.enabled for entry in entries))
    pauses = {source: max(services.settings.schedule(source).pause(now), _DAY) for source in SOURCES}
    for entry in entries:
        if entry.age_seconds is not None:
            log_event(
                log,
                "snapshot.aged",
                source=entry.source,
                dataset=entry.name,
                run=entry.latest_run,
                age=entry.age_seconds,
                enabled=entry.enabled,
                pause=int(pauses[entry.source].total_seconds()),
            )


def _entry(dataset: Dataset, newest: Latest | None, now: datetime, *, next_due: datetime | None) -> Entry:
    return Entry(
        name=dataset.name,
        source=dataset.source,
        kind=dataset.kind,
        enabled=next_due is not None,
        latest_run=newest.run_id if newest else None,
        verdict=newest.verdict if newest else None,
        age_seconds=int((now - newest.finished_at).total_seconds()) if newest else None,
        items=newest.items if newest else None,
        next_tick=next_due,
    )
