"""The log of a Delta table: read it, add a commit to it, and keep it short with checkpoints.

A commit is a blob that is created once, so of two writers one is first. The other one reads on, and sees by the
transaction of its application whether its change has been made already: by itself, before its answer was lost, or by
another worker that did the same work.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import duckdb

from shared.azure.storage import Container, Storage
from shared.clock import Clock
from shared.document import Document
from shared.errors import Conflict, DamagedDocument, GiveUp
from shared.tables.delta.actions import Commit, DeltaTable, read_actions
from shared.tables.delta.checkpoints import read_log_checkpoint, write_checkpoint
from shared.tables.engine.connection import Engine

CHECKPOINT_EVERY: Final = 10
_AT_ONCE: Final = 8

_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_DAMAGED: Final = "Make an older version of it current, or delete the folder of the table and rebuild it."


class NoSuchVersion(GiveUp):
    """The log of a table does not reach back to that version, or has not come to it."""


class LastCheckpoint(Document):
    """The content of ``_last_checkpoint``: a hint where to begin."""

    version: int
    size: int = 0


class DeltaLog:
    """The log of one table, in the folder ``name`` of the container ``tables``."""

    def __init__(self, storage: Storage, name: str, *, clock: Clock) -> None:
        self.name = name
        self._storage = storage
        self._clock = clock

    async def read(self, engine: Engine, *, version: int | None = None) -> DeltaTable:
        """Return the table as it is, or as it was at ``version``; without a commit it has no metadata.

        Args:
            engine: What reads checkpoints.

        Raises:
            NoSuchVersion: That version is not there any more, or not yet.
            UnknownProtocol: Another program has raised the protocol of the table.
            DamagedDocument: A file of the log cannot be read.
        """
        table = await self._read_from(engine, await self._hinted_checkpoint(version), version)
        if table.metadata is None:  # it was never written, or has lost its hint, and its first commits are deleted
            found = [number async for number in self._checkpoints() if version is None or number <= version]
            table = await self._read_from(engine, max(found), version) if found else table
        if version is not None and table.version != version:
            raise NoSuchVersion(f"{self.name} has no version {version}")
        return table

    async def commit(
        self, engine: Engine, plan: Callable[[DeltaTable], Commit | None], *, keep_since: datetime
    ) -> DeltaTable:
        """Make one change, whoever else changes the table, and return the table after it.

        Args:
            plan: Takes the table as it is; gives the change to it, or ``None`` where nothing is to be done.
            keep_since: Files that were removed before are forgotten by the next checkpoint.
        """
        table = await self.read(engine)
        while True:
            change = plan(table)
            if change is None or is_done(table, change):
                return table
            version = table.version + 1
            data = change.to_json(now=self._clock(), is_first=version == 0)
            try:
                await self._storage.write(Container.TABLES, self._commit_path(version), data, etag=None)
            except Conflict:
                async for number, other in self._commits_after(table.version, None):
                    table = self._applied(table, number, other)
                continue
            table = table.applied(version, read_actions(data))
            if version % CHECKPOINT_EVERY == 0 and version:
                await self._checkpoint(engine, table, keep_since)
            return table

    async def _checkpoint(self, engine: Engine, table: DeltaTable, keep_since: datetime) -> None:
        path = self._checkpoint_path(table.version)
        size = await write_checkpoint(engine, self._storage, path, table.checkpoint_actions(since=keep_since))
        hint = LastCheckpoint(version=table.version, size=size).to_json()
        where = f"{self.name}/_delta_log/_last_checkpoint"
        stored = await self._storage.read(Container.TABLES, where)
        if stored is not None and (read_hint(stored.data) or 0) >= table.version:
            return
        try:
            await self._storage.write(Container.TABLES, where, hint, etag=stored.etag if stored else None)
        except Conflict:
            return  # another writer has just written one, and it is only a hint

    async def _read_from(self, engine: Engine, checkpoint: int | None, version: int | None) -> DeltaTable:
        """Read a checkpoint, if there is one, and the commits behind it."""
        table = DeltaTable()
        if checkpoint is not None:
            table = table.applied(checkpoint, await self._checkpoint_actions(engine, self._checkpoint_path(checkpoint)))
        async for number, data in self._commits_after(table.version, version):
            table = self._applied(table, number, data)
        return table

    async def _checkpoint_actions(self, engine: Engine, path: str) -> list[dict[str, object]]:
        try:
            return await read_log_checkpoint(engine, self._storage, path)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            text = f"{Container.TABLES}/{path} is not a checkpoint of Delta Lake"
            raise DamagedDocument(text, remedy=_DAMAGED) from error

    def _applied(self, table: DeltaTable, number: int, data: bytes) -> DeltaTable:
        try:
            return table.applied(number, read_actions(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            path = f"{Container.TABLES}/{self._commit_path(number)}"
            raise DamagedDocument(f"{path} is not a commit of Delta Lake", remedy=_DAMAGED) from error

    async def _hinted_checkpoint(self, version: int | None) -> int | None:
        stored = await self._storage.read(Container.TABLES, f"{self.name}/_delta_log/_last_checkpoint")
        last = read_hint(stored.data) if stored else None
        if last is None or version is None or last <= version:
            return last
        found = [number async for number in self._checkpoints() if number <= version]
        return max(found, default=None)

    async def _checkpoints(self) -> AsyncIterator[int]:
        async for path in self._storage.list(Container.TABLES, f"{self.name}/_delta_log/"):
            match = _CHECKPOINT.fullmatch(path.rpartition("/")[2])
            if match:
                yield int(match[1])

    async def _commits_after(self, version: int, last: int | None) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the log files behind a version, some read at a time, up to the first one that is not there."""
        while last is None or version < last:
            numbers = range(version + 1, version + 1 + _AT_ONCE if last is None else min(last, version + _AT_ONCE) + 1)
            read = await asyncio.gather(
                *(self._storage.read(Container.TABLES, self._commit_path(number)) for number in numbers)
            )
            for number, stored in zip(numbers, read, strict=True):
                if stored is None:
                    return
                yield number, stored.data
                version = number

    def _commit_path(self, version: int) -> str:
        return f"{self.name}/_delta_log/{version:020d}.json"

    def _checkpoint_path(self, version: int) -> str:
        return f"{self.name}/_delta_log/{version:020d}.checkpoint.parquet"


def read_hint(data: bytes) -> int | None:
    """Return the version that ``_last_checkpoint`` names; ``None`` where it cannot be read, for it is only a hint."""
    try:
        return LastCheckpoint.from_json(data).version
    except DamagedDocument:
        return None


def is_done(table: DeltaTable, change: Commit) -> bool:
    """Return whether the table already has a change, or a later one of the same application."""
    return table.transactions.get(change.application, -1) >= change.transaction
