"""Whether the app may do with Azure Storage what it has to do; nothing that is written here stays."""

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from shared.azure.damage import unusable
from shared.azure.storage import Container, Queue, Storage
from shared.doctor.check import Check, Probe

STORAGE_AWAY = "Check the storage account, its firewall, the roles of the app, and INVENTORY_STORAGE."
_MOST_DAMAGE = 20
_DAMAGED = "Everything else continues. Restore an earlier version of the blob, or delete it."
_RESTART = "Restart the app: if it has the right, it creates what is missing."
_REPLAY = (
    "Look for the reason in the runs (GET /api/runs) or operations (GET /api/operations). "
    "If messages stay, nothing reads the queue."
)


def storage_probes(storage: Storage, tables: Storage) -> Iterator[Probe]:
    """Rights, containers, queues, and what lies on the poison queues.

    Args:
        tables: The account of the tables, which may be the same.
    """
    yield Probe("storage", partial(_rights, storage), STORAGE_AWAY)
    for container in Container:
        account = tables if container == Container.TABLES else storage
        yield Probe(f"storage/{container}", partial(_container, account, container), _RESTART)
    for queue in Queue:
        yield Probe(f"queue/{queue}", partial(_queue, storage, queue), STORAGE_AWAY)
        yield Probe(f"queue/{queue}-poison", partial(_poison, storage, f"{queue}-poison"), STORAGE_AWAY)


def damage_checks() -> Iterator[Check]:
    """Yield what this process has found unusable in storage, and not read since."""
    for what, reason in islice(reversed(unusable().items()), _MOST_DAMAGE):
        yield Check(name=f"stored/{what}", status="warning", message=reason, remedy=_DAMAGED)


async def _rights(storage: Storage) -> Sequence[Check]:
    """Whether a blob can be written, found, read and deleted."""
    path = f"health/{uuid.uuid4()}.json"
    await storage.write(Container.HARVEST_STATE, path, b"{}", etag=None)
    try:
        found = [one async for one in storage.list(Container.HARVEST_STATE, path)]
        stored = await storage.read(Container.HARVEST_STATE, path)
    finally:
        await storage.delete(Container.HARVEST_STATE, path)
    if not found or stored is None:
        return [Check(name="storage", status="error", message="a blob just written was not found", remedy=STORAGE_AWAY)]
    return [Check.passed("storage", "a blob was written, listed, read and deleted")]


async def _container(storage: Storage, container: Container) -> Sequence[Check]:
    """Whether a container is there, and may be listed."""
    async for _ in storage.list(container, "health/"):
        break
    return [Check.passed(f"storage/{container}", "it is there, and may be listed")]


async def _queue(storage: Storage, queue: Queue) -> Sequence[Check]:
    """Whether a queue is there, and takes messages."""
    name = f"queue/{queue}"
    waiting = await storage.depth(queue)
    if waiting is None:
        return [Check(name=name, status="error", message="the queue does not exist", remedy=_RESTART)]
    await storage.rehearse(queue)
    return [Check.passed(name, f"it accepts messages; messages that are waiting: about {waiting}")]


async def _poison(storage: Storage, queue: str) -> Sequence[Check]:
    """Whether messages whose attempts are spent were left lying; the host creates such a queue when it needs it."""
    name = f"queue/{queue}"
    waiting = await storage.depth(queue)
    if waiting:
        return [
            Check(name=name, status="warning", message=f"messages that are waiting: about {waiting}", remedy=_REPLAY)
        ]
    return [Check.passed(name, "no message is waiting")]
