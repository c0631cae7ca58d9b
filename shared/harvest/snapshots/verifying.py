"""Whether the parts of a snapshot are what its manifest says, in the memory of a few megabytes."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from shared.azure.storage import Container, Listed, Storage
from shared.document import Document, StoredValue
from shared.errors import DamagedDocument, StoredFault
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest, Part, Verdict
from shared.harvest.snapshots.reading import PartReader

FINDINGS_NAMED = 5
"""How many unreadable lines are named; all are counted."""

type SeenPart = Callable[[int], None]
"""Is told how many bytes have been read, again and again."""

_decode = msgspec.json.Decoder(msgspec.Raw).decode


class Fault(StoredValue):
    """Something that is not as a manifest says, at a path, and what can be done about it."""

    path: str
    problem: str
    remedy: str = ""


class SnapshotReport(Document):
    """What was found of one snapshot; an expired one has lost all its parts to the rule that deletes old ones."""

    source: str
    dataset: str
    run_id: str
    verdict: Verdict | None = None
    expired: bool = False
    parts: int = 0
    items: int = 0
    bytes: int = 0
    faults: tuple[Fault, ...] = ()


class SnapshotProgress(StoredValue):
    """What the parts of a snapshot that were read so far have shown.

    Attributes:
        parts: How many were read.
        faults: What is wrong with them.
        unreadable: How many lines are not JSON in UTF-8, and ``first`` which came first.
    """

    parts: int = 0
    faults: tuple[Fault, ...] = ()
    unreadable: int = 0
    first: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Unreadable:
    """Lines that are not JSON in UTF-8."""

    count: int
    first: list[Fault] = field(default_factory=list)

    def add(self, path: str, line: int, reason: str) -> None:
        """Count a line in."""
        self.count += 1
        if len(self.first) < FINDINGS_NAMED:
            self.first.append(Fault(path=path, problem=f"line {line} is not readable: {reason}"))


async def parts_that_are_there(storage: Storage, manifest: Manifest) -> frozenset[str]:
    """Return the paths of those parts of a snapshot that are stored."""
    return frozenset(one.path for one in await stored_parts(storage, manifest))


async def stored_parts(storage: Storage, manifest: Manifest) -> list[Listed]:
    """Return those parts of a snapshot that are stored, as they are listed."""
    folder = paths.parts(manifest.run_id, manifest.source, manifest.dataset)
    named = {part.path for part in manifest.parts}
    return [one async for one in storage.list_details(Container.INVENTORY, folder) if one.path in named]


async def verify_snapshot(storage: Storage, manifest: Manifest, *, seen: SeenPart = lambda _: None) -> SnapshotReport:
    """Read every part of a snapshot through, and compare it with the manifest.

    Raises:
        StorageUnavailable: Storage cannot be read, which says nothing about the snapshot.
    """
    progress = SnapshotProgress()
    while progress.parts < len(manifest.parts):
        progress = await read_next_part(storage, manifest, progress, seen=seen)
    return SnapshotReport(
        source=manifest.source,
        dataset=manifest.dataset,
        run_id=manifest.run_id,
        verdict=manifest.verdict,
        parts=len(manifest.parts),
        items=manifest.items,
        bytes=manifest.bytes,
        faults=faults_of(manifest, progress),
    )


async def read_next_part(
    storage: Storage, manifest: Manifest, progress: SnapshotProgress, *, seen: SeenPart = lambda _: None
) -> SnapshotProgress:
    """Read the next part of a snapshot through; raises what ``verify_snapshot`` raises."""
    part = manifest.parts[progress.parts]
    unreadable = _Unreadable(progress.unreadable, [*progress.first])
    faults = await _part_faults(storage, part, unreadable, seen)
    return progress.model_copy(
        update={
            "parts": progress.parts + 1,
            "faults": (*progress.faults, *faults),
            "unreadable": unreadable.count,
            "first": tuple(unreadable.first),
        }
    )


def faults_of(manifest: Manifest, progress: SnapshotProgress) -> tuple[Fault, ...]:
    """Return what is wrong with a snapshot whose parts were all read. Pure."""
    unreadable = progress.first if progress.unreadable > manifest.odd_items else ()
    count = f" ({progress.unreadable} lines are, and the manifest counts {manifest.odd_items} odd items)"
    lines = (one.model_copy(update={"problem": one.problem + count}) for one in unreadable)
    return (*_wrong_sums(manifest), *progress.faults, *lines)


def _wrong_sums(manifest: Manifest) -> Iterator[Fault]:
    path = paths.manifest(manifest.run_id, manifest.source, manifest.dataset)
    sums = {
        "items": (manifest.items, sum(part.items for part in manifest.parts)),
        "rawBytes": (manifest.raw_bytes, sum(part.raw_bytes for part in manifest.parts)),
        "bytes": (manifest.bytes, sum(part.bytes for part in manifest.parts)),
    }
    for name, (told, found) in sums.items():
        if told != found:
            yield Fault(path=path, problem=f"{name} is {told}, and its parts come to {found}")


async def _part_faults(storage: Storage, part: Part, unreadable: _Unreadable, seen: SeenPart) -> list[Fault]:
    reader = PartReader(part.path)
    try:
        async for chunk in storage.stream(Container.INVENTORY, part.path):
            await asyncio.to_thread(_read, reader, part.path, chunk, unreadable)
            seen(len(chunk))
    except DamagedDocument as fault:
        return [Fault(path=part.path, problem=str(fault).removeprefix(f"{part.path} "))]
    except StoredFault as fault:
        return [Fault(path=part.path, problem=str(fault), remedy=fault.remedy)]
    return [Fault(path=part.path, problem=problem) for problem in _differences(reader, part)]


def _read(reader: PartReader, path: str, chunk: bytes, unreadable: _Unreadable) -> None:
    for lines in reader.lines(chunk):
        first = reader.items - len(lines) + 1
        for number, line in enumerate(lines, first):
            reason = _unreadable_because(line)
            if reason is not None:
                unreadable.add(path, number, reason)


def _unreadable_because(line: bytes) -> str | None:
    try:
        _decode(line)
        if not line.isascii():
            line.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return None


def _differences(reader: PartReader, part: Part) -> Iterator[str]:
    if not reader.is_whole:
        yield "ends too early, or too late"
    found = {
        "sha256": (part.sha256, reader.sha256),
        "bytes": (part.bytes, reader.bytes),
        "rawBytes": (part.raw_bytes, reader.raw_bytes),
        "items": (part.items, reader.items),
    }
    for name, (told, there) in found.items():
        if told != there:
            yield f"{name} is {there}, and the manifest says {told}"
