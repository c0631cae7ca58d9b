"""Choosing the parents of a run once: those that were asked longest ago, or least, come first."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from shared.avepoint.catalog import Dataset, Parent, Value
from shared.azure.damage import unless_unusable
from shared.azure.per_storage import PerStorage
from shared.azure.storage import Container, Storage
from shared.errors import REPAIR, Conflict, DamagedDocument, MissingDocument
from shared.harvest.plan import paths
from shared.harvest.plan.plan import PlannedDataset
from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window
from shared.harvest.slices.parents.ledger import read_parent_states
from shared.harvest.slices.parents.selector import (
    ParentSelector,
    ParentState,
    ParentStates,
    SelectedParents,
    UnusableParent,
    parent_hash,
    values_of,
)
from shared.harvest.snapshots.manifest import read_named_manifest
from shared.harvest.snapshots.neighbours import past_stretches
from shared.harvest.snapshots.reading import lines_of

_turn = PerStorage(asyncio.Lock)
"""The partitions of a list begin at the same time, and a choice takes the memory of all parents."""


async def selected_parents_of(storage: Storage, run: Run, dataset: Dataset) -> SelectedParents:
    """Return the parents that a run asks for: chosen by whoever needs them first, and the same for everybody."""
    async with _turn.of(storage):
        return await read_selected_parents(storage, run, dataset) or await _choose(storage, run, dataset)


async def _choose(storage: Storage, run: Run, dataset: Dataset) -> SelectedParents:
    chosen = await select_parents(storage, dataset, run.planned(dataset.name))
    path = paths.parents(run.run_id, run.source, dataset.name)
    try:
        await storage.write(Container.HARVEST_STATE, path, chosen.to_json(), etag=None)
    except Conflict:
        return await read_selected_parents(storage, run, dataset) or chosen
    return chosen


async def read_selected_parents(storage: Storage, run: Run, dataset: Dataset) -> SelectedParents | None:
    """Return the parents that were chosen for a run, or ``None`` before they are.

    Raises:
        DamagedDocument: They cannot be read.
    """
    path = paths.parents(run.run_id, run.source, dataset.name)
    stored = await storage.read(Container.HARVEST_STATE, path)
    try:
        return SelectedParents.from_json(stored.data) if stored else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = f"{Container.HARVEST_STATE}/{path} is not a list of parents"
        raise DamagedDocument(told, remedy="Start a new run.") from error


async def select_parents(storage: Storage, dataset: Dataset, planned: PlannedDataset) -> SelectedParents:
    """Read the snapshot of the parents through, and choose the least recently harvested.

    For a past stretch these are the parents that were asked for least of it.
    """
    snapshot, parent = planned.parents, dataset.parent
    if snapshot is None or parent is None:
        raise AssertionError(f"{dataset.name} is planned without parents")
    open_from = int(planned.open_from.timestamp()) if planned.open_from else 0
    if planned.backfill and planned.window is not None:
        states = await _asked_before(storage, dataset, parent, planned.window)
    else:
        states = await read_parent_states(storage, planned.remembered)
    chooser = ParentSelector(states, most=snapshot.most, open_from=open_from)
    manifest = await read_named_manifest(storage, snapshot.run_id, dataset.source, parent.dataset)
    read = 0
    async for lines in lines_of(storage, manifest):
        await asyncio.to_thread(_offer, chooser, parent, lines, read)
        read += len(lines)
    chosen = await asyncio.to_thread(chooser.chosen)
    return chosen.with_one_window() if planned.backfill else chosen


async def _asked_before(storage: Storage, dataset: Dataset, parent: Parent, window: Window) -> ParentStates:
    """Return for how many seconds of a past stretch each parent was asked before, as if that was its watermark."""
    seconds = Counter[int]()
    async for manifest in past_stretches(storage, dataset, window):
        if manifest.window is None or manifest.parents is None or manifest.parents.path is None:
            continue
        path = manifest.parents.path
        asked = await unless_unusable(path, _read_asked(storage, path)) or []
        failed = {_hash_of(one.parent, parent) for one in manifest.parents.failed}
        shared = min(manifest.window.to, window.to) - max(manifest.window.from_, window.from_)
        for mark in {_hash_of(named, parent) for named in asked} - failed:
            seconds[mark] += int(shared.total_seconds())
    return {mark: ParentState(count) for mark, count in seconds.items()}


async def _read_asked(storage: Storage, path: str) -> list[dict[str, Value]]:
    listed = await storage.read(Container.INVENTORY, path)
    if listed is None:
        raise MissingDocument(f"{path} is named in a manifest, and is not there", remedy=REPAIR)
    try:
        return msgspec.json.Decoder(dict[str, Value]).decode_lines(listed.data)
    except msgspec.DecodeError as error:
        raise DamagedDocument(f"{path} is not a list of parents", remedy=REPAIR) from error


def _hash_of(named: Mapping[str, Value], parent: Parent) -> int:
    return parent_hash(tuple(named[name] for name in parent.parameters if name in named))


def _offer(chooser: ParentSelector, parent: Parent, lines: Sequence[bytes], before: int) -> None:
    for number, line in enumerate(lines, before + 1):
        for values in values_of(line, parent):
            if isinstance(values, UnusableParent):
                reason = f"line {number} of the snapshot of {parent.dataset}: {values.reason}"
                chooser.pass_over(msgspec.structs.replace(values, reason=reason))
            else:
                chooser.offer(values)
