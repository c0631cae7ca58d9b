"""The inventory at a glance: every dataset, its newest snapshot, and when the next one is due."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from croniter import croniter

from shared.avepoint.catalog import Dataset, Kind, catalog
from shared.avepoint.platform import SOURCES, Source
from shared.document import Document
from shared.events import log_event
from shared.harvest import paths
from shared.harvest.snapshot import Latest, Verdict
from shared.harvest.starting import configured
from shared.services import Services
from shared.storage import Container

log = logging.getLogger(__name__)


class Entry(Document):
    """A dataset and its newest snapshot; ``next_tick`` is there only when a timer harvests it."""

    name: str
    source: Source
    kind: Kind
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
    ticks = {source: next_tick(services.settings.schedule(source), now) for source in SOURCES}
    newest: dict[str, Latest] = {}
    async for path in services.storage.list(Container.INVENTORY, paths.LATEST):
        stored = await services.storage.read(Container.INVENTORY, path)
        if stored is not None:
            newest[path] = Latest.from_json(stored.data)
    return [
        _entry(dataset, newest.get(paths.latest(*key)), now, next_due=ticks[dataset.source] if key in enabled else None)
        for key, dataset in catalog().items()
    ]


async def tell_ages(services: Services) -> None:
    """Log how old the newest snapshot of every dataset is, for whoever is to be told when one stays away.

    Raises:
        Misconfigured: A configured name matches no dataset.
    """
    for entry in await list_inventory(services):
        if entry.age_seconds is not None:
            log_event(
                log,
                "snapshot.aged",
                source=entry.source,
                dataset=entry.name,
                run=entry.latest_run,
                age=entry.age_seconds,
                enabled=entry.enabled,
            )


def next_tick(schedule: str, now: datetime) -> datetime:
    """The first instant after ``now`` at which an NCRONTAB expression is due, in UTC."""
    return croniter(schedule, now, second_at_beginning=True, day_or=False).get_next(datetime).astimezone(UTC)


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
