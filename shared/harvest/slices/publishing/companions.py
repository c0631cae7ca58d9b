"""The lists beside a manifest, one JSON line each: items that could not be read, and parents that were asked."""

import logging
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from shared.azure.storage import Container, Storage
from shared.errors import Conflict
from shared.harvest.plan import paths
from shared.harvest.slices.checkpoint import Checkpoint
from shared.harvest.slices.parents.results import ParentResults
from shared.harvest.slices.progress import ODD_NAMED
from shared.harvest.snapshots.manifest import Manifest
from shared.telemetry.events import log_event

log = logging.getLogger(__name__)


async def name_odd_items(storage: Storage, manifest: Manifest, checkpoints: Sequence[Checkpoint]) -> None:
    """Write the first items that could not be read as documented beside the manifest, one JSON line each."""
    named = [line for checkpoint in checkpoints for line in checkpoint.progress.odd][:ODD_NAMED]
    if not named:
        return
    path = paths.odd_items(manifest.run_id, manifest.source, manifest.dataset)
    lines = b"".join(line.to_json() + b"\n" for line in named)
    with suppress(Conflict):  # an attempt that failed has named some, too
        await storage.write(Container.INVENTORY, path, lines, etag=None)
    log_event(
        log,
        "snapshot.odd_items",
        logging.WARNING,
        run=manifest.run_id,
        source=manifest.source,
        dataset=manifest.dataset,
        items=manifest.odd_items,
        path=path,
    )


async def name_parents(storage: Storage, manifest: Manifest, results: ParentResults | None) -> None:
    """Write the parents that were asked beside the manifest, one JSON line each, and say which of them failed."""
    if results is None or manifest.parents is None or manifest.parents.path is None:
        return
    lines = b"".join(msgspec.json.encode(parent) + b"\n" for parent in results.asked)
    with suppress(Conflict):  # an earlier attempt of the same run has written the same parents
        await storage.write(Container.INVENTORY, manifest.parents.path, lines, etag=None)
    if results.failed:
        log_event(
            log,
            "snapshot.parents_failed",
            logging.WARNING,
            run=manifest.run_id,
            source=manifest.source,
            dataset=manifest.dataset,
            parents=len(results.failed),
            reason=results.failed[0].reason,
        )
