"""The step of a build that finds the changes between a table and the snapshot that takes its place."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

import msgspec

from shared.azure.storage import Container
from shared.errors import Conflict
from shared.harvest.snapshots.manifest import Manifest
from shared.tables.build import names
from shared.tables.build.stages.parents import asked_parents, others_may_be_there, usual_outcome
from shared.tables.build.stages.settling import parents_of_rows
from shared.tables.build.stages.work import TENANT, BuildWork, without_none
from shared.tables.build.state import Build, Counts, Rowset
from shared.tables.changes.comparing import (
    Comparison,
    create_sides,
    mark_differences,
    take_side,
    write_changes,
)
from shared.tables.changes.indexing import create_index, index_file
from shared.tables.changes.rights import ParentOutcome, ParentValues, Rights
from shared.tables.delta.actions import DataFile

_read_parents = msgspec.json.Decoder(list[tuple[str | None, ...]]).decode


async def rights_of(work: BuildWork, build: Build) -> Rights:
    """Return what the snapshot has the right to say of the one before."""
    tenants = work.manifest.tenants
    rights = Rights(
        verdict=work.manifest.verdict,
        tenants_before=work.ground.tenants,
        tenants_now=frozenset(one.casefold() for one in tenants) if tenants else None,
        odd=work.manifest.odd_items > 0,
    )
    if not work.spec.parent_names:
        return rights
    asked = await asked_parents(work.inventory, work.manifest, work.spec)
    left_out = others_may_be_there(work.manifest)
    if asked is None or _failed_unnamed(work.manifest):
        new = await parents_of_rows(work, without_none(part.file for part in build.parts))
        known: Mapping[ParentValues, ParentOutcome] = asked or dict.fromkeys(new, usual_outcome(work.manifest))
        asked = {one: outcome if asked is None or one in new else "failed" for one, outcome in known.items()}
    return replace(rights, asked=asked, left_out=left_out, known=await known_parents(work))


def _failed_unnamed(manifest: Manifest) -> bool:
    """Return whether more parents failed than the manifest names: any without rows may be one of them."""
    return manifest.parents is not None and manifest.parents.failed_count > len(manifest.parents.failed)


async def known_parents(work: BuildWork) -> frozenset[ParentValues] | None:
    """Return the parents that the dataset was ever asked for; ``None`` before the first snapshot."""
    if work.ground.parents is None:
        return None
    stored = await work.inventory.read(Container.HARVEST_STATE, work.ground.parents)
    return frozenset(_read_parents(stored.data)) if stored else None


async def remember_parents(work: BuildWork, rights: Rights, *, sequence: int) -> str | None:
    """Write down which parents were ever asked, and return where."""
    if rights.asked is None:
        return None
    known = {*(rights.known or ()), *(one for one, outcome in rights.asked.items() if outcome != "failed")}
    path = names.parents_path(work.dataset.source, work.dataset.name, sequence, work.manifest.run_id)
    data = msgspec.json.encode(sorted(known, key=repr))
    stored = await work.inventory.read(Container.HARVEST_STATE, path)
    if stored is None or stored.data != data:
        try:
            await work.inventory.write(Container.HARVEST_STATE, path, data, etag=stored.etag if stored else None)
        except Conflict:
            return path  # another worker of the same build has written the same
    return path


async def delete_older_parents(work: BuildWork, kept: str | None) -> None:
    """Delete the lists of parents that earlier builds wrote down; the one that is kept holds them all."""
    folder = names.parents_path(work.dataset.source, work.dataset.name, 0, "").rpartition("/")[0]
    async for path in work.inventory.list(Container.HARVEST_STATE, f"{folder}/"):
        if path != kept:
            await work.inventory.delete(Container.HARVEST_STATE, path)


async def compare_tables(
    work: BuildWork, build: Build, before: Sequence[DataFile], rowset: Rowset, rights: Rights
) -> tuple[Counts, DataFile | None]:
    """Return how many changes there are, and the file with them."""
    comparison = _comparison(work, build, rights)
    kept = {file.path for file in rowset.kept}
    old = [file for file in before if file.path not in kept]
    for name, files in (("old_rows", old), ("new_rows", rowset.added)):
        await create_index(work.engine, name)
        for number, file in enumerate(files):
            await index_file(
                work.engine,
                name,
                number,
                await work.local(file),
                compared=comparison.compared_columns,
                volatile=comparison.volatile_columns,
            )
    await mark_differences(work.engine)
    await create_sides(work.engine, comparison)
    for side, file in chain((("old_side", file) for file in old), (("new_side", file) for file in rowset.added)):
        await take_side(work.engine, side, await work.local(file), comparison, tenant=file.tags.get(TENANT))
    told = await write_changes(work.engine, comparison)
    counts = Counts(added=told.added, removed=told.removed, changed=told.changed, volatile_only=told.volatile_only)
    if told.written is None or not told.written.rows:
        return counts, None
    run_id = work.manifest.run_id
    return counts, await work.changes.keep_file(told.written, tags={"from": run_id, "to": run_id})


def _comparison(work: BuildWork, build: Build, rights: Rights) -> Comparison:
    there = frozenset(build.findings.fields) & (work.ground.present or frozenset())
    if not build.findings.rows:
        there = work.ground.present or frozenset()
    return Comparison(
        spec=work.spec,
        schema=build.table_schema,
        rights=rights,
        compared=there - work.spec.volatile,
        run_id=work.manifest.run_id,
        previous_run_id=work.ground.run_id or "",
        at=work.manifest.finished_at,
    )
