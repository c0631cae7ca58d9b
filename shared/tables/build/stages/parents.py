"""Which parents a snapshot of a child dataset was asked for, and how it went with each of them."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from shared.azure.storage import Container, Storage
from shared.errors import DamagedDocument, MissingDocument
from shared.harvest.snapshots.manifest import Manifest
from shared.tables.changes.rights import ParentOutcome, ParentValues
from shared.tables.schema.columns import TableSpec, parent_column
from shared.tables.values.scalars import digest
from shared.tables.values.text import json_text

_OUTCOMES: Final[Mapping[str, ParentOutcome]] = {"complete": "complete", "gone": "gone", "failed": "failed"}

type Asked = dict[ParentValues, ParentOutcome]


def usual_outcome(manifest: Manifest) -> ParentOutcome:
    """Return how it went with a parent of which nothing else is told.

    Where other parents were left out, the verdict says nothing of the chains: the totals do, if every chain gave one.
    """
    total = manifest.server_total
    if manifest.verdict == "capped" and total is not None:
        distinct = manifest.items - manifest.duplicates
        return "complete" if total.min <= distinct <= total.max else "unverified"
    return "complete" if manifest.verdict == "complete" else "unverified"


def others_may_be_there(manifest: Manifest) -> bool:
    """Return whether parents were left out, or failed: one without rows may have some all the same."""
    parents = manifest.parents
    return parents is not None and parents.left_out + parents.failed_count + len(parents.failed) > 0


async def asked_parents(storage: Storage, manifest: Manifest, spec: TableSpec) -> Asked | None:
    """Return how it went with each parent that was asked; ``None`` where no list was kept.

    Raises:
        MissingDocument: The list that the manifest names is not there.
        DamagedDocument: It cannot be read.
    """
    parents = manifest.parents
    if parents is None or parents.path is None:
        return None
    listed = await storage.read(Container.INVENTORY, parents.path)
    if listed is None:
        raise MissingDocument(
            f"the manifest of {manifest.run_id} names {parents.path}, which is not there",
            remedy="Harvest the dataset again, or restore the file.",
        )
    asked = dict(_outcomes(listed.data, manifest, spec))
    return asked | {values_of_parent(one.parent, spec): "failed" for one in parents.failed}


def values_of_parent(parent: Mapping[str, object], spec: TableSpec) -> ParentValues:
    """Return the values of a parent as its columns hold them."""
    return tuple(_cell(parent.get(name), is_hidden=spec.is_hidden(parent_column(name))) for name in spec.parent_names)


def _cell(value: object, *, is_hidden: bool) -> str | None:
    if value is None:
        return None
    if is_hidden:
        return digest(value)
    return value if isinstance(value, str) else json_text(value)


def _outcomes(data: bytes, manifest: Manifest, spec: TableSpec) -> Iterator[tuple[ParentValues, ParentOutcome]]:
    """Read the lines: a parent each, or a parent with its outcome."""
    usual = usual_outcome(manifest)
    for line in filter(None, data.splitlines()):
        try:
            item = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DamagedDocument(f"the list of parents of {manifest.run_id} cannot be read") from error
        parent = item.get("parent")
        if isinstance(parent, dict):
            yield values_of_parent(parent, spec), _OUTCOMES.get(str(item.get("outcome")), "unverified")
        else:
            yield values_of_parent(item, spec), usual
