"""Chains of evidence as a test reads them, and as somebody with access to storage may change them."""

from hashlib import sha256

from shared.azure.storage import Container, Storage
from shared.opus.evidence.archive import head_path
from shared.opus.evidence.documents import Evidence, Head, Link, Previous
from shared.opus.evidence.findings import declarations, problems
from shared.opus.intake.inputs import ResolveInput
from shared.opus.verify import gather_evidence
from tests.opus.conftest import Bench, records

SAID = ResolveInput(outcome="Failed", note="Still in Opus.", checkedBy="Jane")


async def chain_problems(bench: Bench, **asked: object) -> list[str]:
    seen = await gather_evidence(bench.services.storage, today=bench.clock.now.date(), **asked)  # type: ignore[arg-type]
    return list(problems(seen))


async def declared(bench: Bench) -> list[str]:
    return list(declarations(await gather_evidence(bench.services.storage, today=bench.clock.now.date())))


async def chain(bench: Bench) -> list[Evidence]:
    return sorted(await bench.evidence(), key=lambda evidence: evidence.chain.sequence)


async def four_pieces(bench: Bench, **apart: float) -> list[str]:
    """Where the evidence of four operations lies, in order; each begins a ``timedelta`` after the one before."""
    for number in range(4):
        await bench.submit(records(1), key=str(number))
        bench.clock.advance(**apart)
    pieces = await chain(bench)
    return [f"date={one.order.created_at:%Y-%m-%d}/{one.order.operation_id}.json" for one in pieces]


async def raw(storage: Storage, path: str) -> bytes:
    stored = await storage.read(Container.EVIDENCE, path)
    assert stored is not None
    return stored.data


async def overwrite(bench: Bench, path: str, data: bytes) -> None:
    await bench.services.storage.delete(Container.EVIDENCE, path)
    await bench.services.storage.write(Container.EVIDENCE, path, data, etag=None)


async def contents(bench: Bench, container: Container) -> dict[str, bytes]:
    storage = bench.services.storage
    read = {path: await storage.read(container, path) for path in await bench.paths(container)}
    return {path: stored.data for path, stored in read.items() if stored}


async def restore(bench: Bench, container: Container, backup: dict[str, bytes]) -> None:
    """Bring a container back to what it was."""
    for path in await bench.paths(container):
        await bench.services.storage.delete(container, path)
    for path, data in backup.items():
        await bench.services.storage.write(container, path, data, etag=None)


async def forget_everything(bench: Bench, operation_id: str) -> None:
    """Lose all that tells of an operation, but for the head of its chain."""
    for container in (Container.EVIDENCE, Container.OPERATIONS):
        for path in await bench.paths(container):
            if operation_id in path:
                await bench.services.storage.delete(container, path)


async def edit(bench: Bench, path: str) -> bytes:
    """Change what a piece says, with a hash of its own that fits."""
    piece = Evidence.from_json(await raw(bench.services.storage, path))
    changed = piece.model_copy(update={"operation": piece.operation.model_copy(update={"succeeded": 7})}).sealed()
    await overwrite(bench, path, changed)
    return changed


async def forge_last(bench: Bench, path: str, forged: Evidence) -> None:
    """Put a piece with a hash of its own in place of the last one of the chain, and turn the head to it."""
    await overwrite(bench, path, forged.sealed())
    await turn_head(bench, sha256=sha256(forged.sealed()).hexdigest())


async def turn_head(bench: Bench, **changes: object) -> None:
    storage = bench.services.storage
    stored = await storage.read(Container.OPERATIONS, head_path("key"))
    assert stored is not None
    turned = Head.from_json(stored.data).model_copy(update=changes)
    await storage.write(Container.OPERATIONS, head_path("key"), turned.to_json(), etag=stored.etag)


async def chain_anew(bench: Bench, paths: list[str]) -> None:
    """Make a whole chain of some pieces."""
    previous: Previous | None = None
    for number, path in enumerate(paths, 1):
        piece = Evidence.from_json(await raw(bench.services.storage, path))
        link = Link(caller="key", sequence=number, previous=previous)
        data = piece.model_copy(update={"chain": link}).sealed()
        await overwrite(bench, path, data)
        previous = Previous(path=path, sha256=sha256(data).hexdigest())
        await turn_head(bench, link=link, path=path, sha256=previous.sha256)
