"""Whether the app may do with Azure Storage what it has to do; nothing that is written here stays."""

import uuid
from collections.abc import Iterator, Sequence
from functools import partial

from shared.doctor.check import Check, Probe
from shared.storage import Container, Queue, Storage

STORAGE_AWAY = "Look at the storage account, its firewall and the roles of the app, and check INVENTORY_STORAGE."
_RESTART = "Restart the app: it creates what is missing, if it may."
_REPLAY = "See why in the runs (GET /api/runs) or operations (GET /api/operations); what stays has no working reader."


def storage_probes(storage: Storage) -> Iterator[Probe]:
    """Rights, containers, queues, and what lies on the poison queues."""
    yield Probe("storage", partial(_rights, storage), STORAGE_AWAY)
    for container in Container:
        yield Probe(f"storage/{container}", partial(_container, storage, container), _RESTART)
    for queue in Queue:
        yield Probe(f"queue/{queue}", partial(_queue, storage, queue), STORAGE_AWAY)
        yield Probe(f"queue/{queue}-poison", partial(_poison, storage, f"{queue}-poison"), STORAGE_AWAY)


async def _rights(storage: Storage) -> Sequence[Check]:
    """Whether a blob can be written, found, read and deleted."""
    path = f"health/{uuid.uuid4()}.json"
    await storage.create(Container.HARVEST_STATE, path, b"{}")
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
        return [Check(name=name, status="error", message="there is no such queue", remedy=_RESTART)]
    await storage.rehearse(queue)
    return [Check.passed(name, f"it takes messages; those that wait: about {waiting}")]


async def _poison(storage: Storage, queue: str) -> Sequence[Check]:
    """Whether messages whose attempts are spent were left lying; the host creates such a queue when it needs it."""
    name = f"queue/{queue}"
    waiting = await storage.depth(queue)
    if waiting:
        return [Check(name=name, status="warning", message=f"messages that wait: about {waiting}", remedy=_REPLAY)]
    return [Check.passed(name, "no message waits")]
