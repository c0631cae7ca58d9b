"""What a polling trigger tells: snapshots that were published, and items that were added, removed or changed.

Each event is told once to whoever goes on with the positions of the last answer; the same positions give the same
answer, or more. Where there is much to tell, the rest comes with the next call.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from shared.avepoint.catalog import Dataset, DatasetKind, catalog
from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.clock import rfc3339
from shared.closest import closest_hint
from shared.document import Document
from shared.errors import InvalidInput, NotReady, StoredFault
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import (
    Manifest,
    Verdict,
    check_latest,
    read_latest,
    read_manifest,
    snapshot_runs,
)
from shared.services import Services
from shared.tables.build.names import changes_name
from shared.tables.changes.columns import CHANGES
from shared.tables.queries.shaping import json_members, json_object
from shared.tables.queries.sql import Sql, quoted
from shared.tables.schema.spec import spec_of
from shared.tables.serving.changes import change_json, check_tells_changes
from shared.tables.serving.datasets import DatasetTable, current_table
from shared.tables.serving.positions import Partly, Positions, check_positions
from shared.tables.serving.reader import reader_of

MOST_EVENTS: Final = 200


class SnapshotEvent(Document):
    """A snapshot that was published; ``manifest`` is the path of its manifest."""

    source: Source
    dataset: str
    run_id: str
    verdict: Verdict
    kind: DatasetKind
    items: int
    finished_at: datetime
    manifest: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What a trigger looks at; ``None`` is everything."""

    source: Source | None = None
    dataset: str | None = None

    def datasets(self) -> list[Dataset]:
        """Return the datasets that are looked at.

        Raises:
            InvalidInput: There is no such dataset.
        """
        known = [one for one in catalog().values() if self.source in {None, one.source}]
        found = [one for one in known if self.dataset in {None, one.name}]
        if not found:
            hint = closest_hint(self.dataset or "", [one.name for one in known])
            raise InvalidInput(f"dataset: there is no dataset {self.dataset!r}{hint}", target="dataset")
        return found


@dataclass(frozen=True, slots=True)
class Events:
    """Events as JSON objects, the positions after them, and whether more wait already."""

    events: list[str]
    positions: Positions
    more: bool = False


async def snapshot_events(services: Services, watched: Watched, positions: Positions | None) -> Events:
    """Return the snapshots that were published since; without positions none, and where to begin.

    A dataset of which something cannot be read waits until it can; the others do not wait for it.
    """
    datasets = watched.datasets()
    newest = await bounded_map(partial(_newest_run, services), datasets)
    published = {_name(dataset): run_id for dataset, run_id in zip(datasets, newest, strict=True) if run_id}
    if positions is None:
        return Events([], Positions(services.clock(), published))
    check_positions(positions, now=services.clock())
    waiting = [one for one in datasets if published.get(_name(one), "") > positions.seen.get(_name(one), "")]
    found = await bounded_map(lambda dataset: _published_since(services, dataset, positions, published), waiting)
    readable = [dataset for dataset, some in zip(waiting, found, strict=True) if some is not None]
    manifests = sorted((one for some in found if some for one in some), key=lambda one: (one.finished_at, one.run_id))
    told, more = manifests[:MOST_EVENTS], len(manifests) > MOST_EVENTS
    after = positions
    for manifest in told:
        after = after.with_seen(f"{manifest.source}/{manifest.dataset}", manifest.run_id)
    if not more:
        after = replace(after, seen={**after.seen, **{_name(one): published[_name(one)] for one in readable}})
    return Events([_snapshot_json(one) for one in told], after, more)


async def change_events(
    services: Services, watched: Watched, change: str | None, positions: Positions | None
) -> Events:
    """Return the changes that were told since; without positions none, and where to begin.

    Raises:
        InvalidInput: The positions are older than the changes that are kept.
        NotReady: What is looked at never has changes.
    """
    datasets = watched.datasets()
    if not any(spec_of(dataset).tells_changes for dataset in datasets):
        check_tells_changes(spec_of(datasets[0]))
    tables = [one for one in await bounded_map(partial(_table, services), datasets) if one]
    if positions is None:
        return Events([], Positions(services.clock(), {_name(one.dataset): one.run_id for one in tables}))
    check_positions(positions, now=services.clock())
    for table in tables:
        _check_kept(services, table, positions)
    events, after = list[str](), positions
    for table in sorted(tables, key=lambda one: after.partly_of(_name(one.dataset), change) is None):
        name, room = _name(table.dataset), MOST_EVENTS - len(events)
        if after.seen.get(name, "") >= table.run_id:
            continue
        found = await _changes(services, table, change, after, most=room + 1)
        events += [told for told, _ in found[:room]]
        if len(found) > room:
            partly = found[room - 1][1] if room else after.partly
            return Events(events, replace(after, partly=partly), more=True)
        after = after.with_seen(name, table.run_id)
    return Events(events, after)


async def _newest_run(services: Services, dataset: Dataset) -> str | None:
    """Return the newest published snapshot; what cannot be read now is told once it can."""
    try:
        latest = await read_latest(services.storage, dataset.source, dataset.name)
        if latest is None:
            return None
        return check_latest(latest, source=dataset.source, dataset=dataset.name, now=services.clock()).run_id
    except StoredFault:
        return None


async def _published_since(
    services: Services, dataset: Dataset, positions: Positions, published: Mapping[str, str]
) -> list[Manifest] | None:
    """Return the manifests of published snapshots; ``None`` where one cannot be read, which is named."""
    seen = positions.seen.get(_name(dataset))
    there = await snapshot_runs(services.storage, dataset.source, dataset.name)
    run_ids = [one for one in there if (seen or "") < one <= published[_name(dataset)]]
    reading = bounded_map(lambda run_id: read_manifest(services.storage, run_id, dataset.source, dataset.name), run_ids)
    read = await unless_unusable(paths.manifests(dataset.source, dataset.name), reading)
    if read is None:
        return None
    manifests = [one for one in read if one is not None and one.published]
    return [one for one in manifests if seen is not None or one.finished_at > positions.since]


async def _table(services: Services, dataset: Dataset) -> DatasetTable | None:
    """Return the table of a dataset, if there is one and its changes are told."""
    try:
        current = await current_table(services, dataset)
    except (NotReady, StoredFault):
        return None
    return current if current.spec.tells_changes else None


def _check_kept(services: Services, table: DatasetTable, positions: Positions) -> None:
    """See that no change behind the positions has left the table: a build takes out what is kept no longer.

    Raises:
        InvalidInput: Some have.
    """
    name = _name(table.dataset)
    begun = paths.started_at(positions.seen[name]) if name in positions.seen else positions.since
    built_at = table.state.built_at or services.clock()
    kept_since = built_at - timedelta(days=services.settings.tables_changes_days)
    older = (paths.started_at(run_id) for run_id in table.state.ground.applied if run_id != table.run_id)
    if any(begun < started < kept_since for started in older):
        message = f"triggerState is of {rfc3339(begun)}, and later changes of {name} are kept no longer"
        remedy = "Leave it out to begin from now; the snapshots that are still stored show what has changed."
        raise InvalidInput(message, target="triggerState", remedy=remedy)


async def _changes(
    services: Services, table: DatasetTable, change: str | None, positions: Positions, *, most: int
) -> list[tuple[str, Partly]]:
    """Return changes, each with the position behind it.

    They come in the order of runs and digests of keys: whatever later runs add comes behind it, and what is taken out
    moves nothing. A position has no room for a key, which may be long, and which may name a person.
    """
    name = _name(table.dataset)
    seen, partly = positions.seen.get(name), positions.partly_of(name, change)
    conditions = [Sql("run_id <= ?", (table.run_id,))]
    conditions.append(Sql("run_id > ?", (seen,)) if seen is not None else Sql('"at" > ?', (positions.since,)))
    if change:
        conditions.append(Sql("change = ?", (change,)))
    if partly:
        conditions.append(Sql("(run_id, md5(key)) > (?, ?)", (partly.run_id, partly.digest)))
    version = await reader_of(services).version(changes_name(table.dataset.source, table.dataset.name))
    wanted = ", ".join(quoted(name) for name in CHANGES)
    text = (
        f"SELECT run_id, md5(key), {wanted} FROM {version.relation(CHANGES)}"
        f" WHERE {' AND '.join(one.text for one in conditions)} ORDER BY run_id, md5(key) LIMIT ?"
    )
    values = (value for one in conditions for value in one.values)
    found = await reader_of(services).rows(Sql(text, (*values, most)))
    return [(_change_json(table, row), Partly(name, run_id, digest, change)) for run_id, digest, *row in found]


def _change_json(table: DatasetTable, row: Sequence[Any]) -> str:
    whose = {"source": table.dataset.source, "dataset": table.dataset.name}
    members = json_members(change_json(row, table.spec.is_hidden))
    return json_object({**{name: json.dumps(value) for name, value in whose.items()}, **members})


def _snapshot_json(manifest: Manifest) -> str:
    path = paths.manifest(manifest.run_id, manifest.source, manifest.dataset)
    return (
        SnapshotEvent(
            source=manifest.source,
            dataset=manifest.dataset,
            run_id=manifest.run_id,
            verdict=manifest.verdict,
            kind=manifest.kind,
            items=manifest.items,
            finished_at=manifest.finished_at,
            manifest=path,
        )
        .to_json()
        .decode()
    )


def _name(dataset: Dataset) -> str:
    return f"{dataset.source}/{dataset.name}"
