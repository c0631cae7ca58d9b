"""What outlives the processes of the app: an account whose evidence is locked, a vault, and the host that counts."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import override

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.credentials.secrets import Secret
from tests.faults.points import Fate, unharmed
from tests.faults.process import Errand, Process
from tests.faults.promises import Guard, require
from tests.faults.world import Clock, Host, World

LOCKED = timedelta(days=30)
"""How long a piece of evidence is locked: for so long, nobody changes or deletes it."""


class LockedStorage(MemoryStorage):
    """A storage account whose evidence is locked for a month."""

    @override
    async def delete(self, container: Container, path: str) -> None:
        self._check(container, path)
        await super().delete(container, path)

    @override
    def _put(self, container: Container, path: str, data: bytes) -> str:
        self._check(container, path)
        return super()._put(container, path, data)

    def moved(self) -> "LockedStorage":
        """Return a copy, as another account holds it: of everything but the queues."""
        copy = LockedStorage(self.clock)
        for container, blobs in self.blobs.items():
            for path, stored in blobs.items():
                copy._put(container, path, stored.data)
                copy._modified[container, path] = self._modified[container, path]
        copy.transactions = self.transactions
        return copy

    def expire(self, container: Container, prefix: str, *, before: datetime) -> None:
        """Delete what is old, as the rules of the account do: they know nothing of what names it."""
        blobs, modified = self.blobs[container], self._modified
        for path in [path for path in blobs if path.startswith(prefix) and modified[container, path] < before]:
            del blobs[path]

    def put(self, container: Container, path: str, data: bytes) -> None:
        """Write a blob from outside of the app."""
        self._put(container, path, data)

    def _check(self, container: Container, path: str) -> None:
        if container is Container.EVIDENCE and path in self.blobs[container]:
            since = self._modified[container, path]
            require(self.clock() >= since + LOCKED, f"{path} is locked, and was to be changed or deleted")


@dataclass
class Vault:
    """The secret of the app."""

    value: str
    expires: datetime

    async def read(self, name: str) -> Secret:
        """Return the newest version."""
        return Secret(name, self.value, f"version until {self.expires}", self.expires)


@dataclass
class Account(World):
    """The world of the app; tables need a storage without points."""

    storage: LockedStorage = field(init=False)
    vault: Vault = field(kw_only=True)

    @override
    def __post_init__(self) -> None:
        self.use(LockedStorage(self.clock))

    def use(self, storage: LockedStorage) -> None:
        """Let the app work on an account from now on."""
        self.storage = storage
        self.storage.changed = Guard(self._inventory)

    @override
    def process(self, fate: Fate = unharmed, *, clock: Clock | None = None) -> Process:
        clock, http = clock or self.clock, self.simulation.http
        process = Process(
            self.settings, self.storage, http, clock=clock, sleep=clock.sleep, fate=fate, vault=self.vault.read
        )
        process.services = replace(process.services, tables=self.storage)
        return process


class CountingHost(Host):
    """Counts how often a function would run, and how often the sweep does."""

    executions: int = 0
    sweeps: int = 0

    @override
    async def attempt(self, errand: Errand[object]) -> bool:
        self.executions += 1
        return await super().attempt(errand)

    @override
    async def sweep(self) -> None:
        self.sweeps += 1
        await super().sweep()
