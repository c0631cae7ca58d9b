"""What has to hold whatever happened: asked of the storage alone, as a user could."""

import gzip
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping

from shared.azure.storage import Container, Storage
from shared.harvest.plan import paths
from shared.harvest.plan.run import read_run, run_ids
from shared.harvest.runs.state import RunView, view
from shared.harvest.snapshots.manifest import Latest, Manifest
from shared.harvest.snapshots.watermark import Watermark


class Broken(AssertionError):
    """A promise is broken."""


def require(holds: object, message: str) -> None:
    """Raise ``Broken`` unless it holds."""
    if not holds:
        raise Broken(message)


async def snapshots(storage: Storage) -> dict[str, Manifest]:
    """The manifests of all snapshots, published or not, by their paths."""
    found: dict[str, Manifest] = {}
    async for path in storage.list(Container.INVENTORY, "manifests/"):
        if not path.endswith(".json"):
            continue
        found[path] = Manifest.from_json(await content(storage, Container.INVENTORY, path))
    return found


async def content(storage: Storage, container: Container, path: str) -> bytes:
    """The content of a blob that has to be there."""
    stored = await storage.read(container, path)
    if stored is None:
        raise Broken(f"{path} is named and not there")
    return stored.data


async def lines(storage: Storage, manifest: Manifest) -> list[bytes]:
    """Every line of a snapshot, once each part has been compared with what the manifest says of it."""
    found: list[bytes] = []
    for part in manifest.parts:
        blob = await content(storage, Container.INVENTORY, part.path)
        require(hashlib.sha256(blob).hexdigest() == part.sha256, f"{part.path} is not what its manifest says")
        read = gzip.decompress(blob).splitlines()
        require(len(read) == part.items, f"{part.path} has {len(read)} items, not {part.items}")
        found += read
    require(len(found) == manifest.items, f"{manifest.run_id} has {len(found)} items, not {manifest.items}")
    return found


async def latest(storage: Storage) -> dict[str, Latest]:
    """What every ``latest`` names, by its path."""
    found: dict[str, Latest] = {}
    async for path in storage.list(Container.INVENTORY, paths.LATEST):
        found[path] = Latest.from_json(await content(storage, Container.INVENTORY, path))
    return found


async def check_whole(storage: Storage) -> None:
    """What ``latest`` names is published, and every part of it is there as its manifest says."""
    for pointer in (await latest(storage)).values():
        manifest = Manifest.from_json(await content(storage, Container.INVENTORY, pointer.manifest))
        require(manifest.published, f"{pointer.manifest} is latest, and not published")
        await lines(storage, manifest)


async def check_no_orphans(storage: Storage) -> None:
    """There is no part that no manifest names, and no part of any manifest is missing."""
    named = {part.path for manifest in (await snapshots(storage)).values() for part in manifest.parts}
    there = {path async for path in storage.list(Container.INVENTORY, "raw/")}
    require(there == named, f"orphans: {sorted(there - named)}, missing: {sorted(named - there)}")


async def check_remembered(storage: Storage) -> None:
    """What a watermark names is there, and nothing else lies beside the watermarks."""
    stored = [path async for path in storage.list(Container.HARVEST_STATE, paths.WATERMARKS)]
    documents = [path for path in stored if path.endswith(".json")]
    watermarks = [Watermark.from_json(await content(storage, Container.HARVEST_STATE, path)) for path in documents]
    named = {watermark.remembered for watermark in watermarks}
    there = set(stored) - set(documents)
    require(there == named, f"named by no watermark: {sorted(there - named)}, missing: {sorted(named - there)}")


async def check(storage: Storage) -> None:
    """Everything that has to hold after a sweep."""
    await check_whole(storage)
    await check_no_orphans(storage)


async def views(storage: Storage) -> AsyncIterator[RunView]:
    """All runs that are kept, newest first."""
    for run_id in await run_ids(storage):
        run = await read_run(storage, run_id)
        if run is not None:
            yield await view(storage, run)


class Guard:
    """Looks at every change of the inventory, so that nothing is broken even for a moment.

    ``latest`` never moves back; when it moves, what it names is there; while it stays, nothing of it goes or changes.
    A part is never written over by another.
    """

    def __init__(self, blob: Callable[[str], bytes | None]) -> None:
        self._blob = blob
        self._named: Mapping[str, frozenset[str]] = {}

    def __call__(self, container: Container, path: str, before: bytes | None, after: bytes | None) -> None:
        if container is not Container.INVENTORY or before == after:
            return
        if path.startswith(paths.LATEST):
            self._moved(path, before, after)
            return
        for pointer, named in self._named.items():
            require(path not in named, f"{path} was changed while {pointer} names it")
        require(before is None or after is None or not path.startswith("raw/"), f"{path} was written twice")

    def _moved(self, path: str, before: bytes | None, after: bytes | None) -> None:
        if after is None:
            raise Broken(f"{path} was deleted")
        old, new = (Latest.from_json(data) if data else None for data in (before, after))
        if new is None:
            raise Broken(f"{path} is empty")
        require(old is None or old.run_id[:16] <= new.run_id[:16], f"{path} moved back from {old} to {new}")
        manifest = Manifest.from_json(self._there(new.manifest))
        for part in manifest.parts:
            digest = hashlib.sha256(self._there(part.path)).hexdigest()
            require(digest == part.sha256, f"{part.path} is not what its manifest says")
        self._named = {**self._named, path: frozenset({new.manifest, *(part.path for part in manifest.parts)})}

    def _there(self, path: str) -> bytes:
        data = self._blob(path)
        if data is None:
            raise Broken(f"{path} is published and not there")
        return data
