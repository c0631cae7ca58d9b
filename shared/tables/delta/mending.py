"""Whether the files of a log are all there, and how a log goes on that has lost some of them."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.azure.storage import Container, Storage
from shared.clock import Clock
from shared.tables.delta.actions import Commit, DeltaTable
from shared.tables.delta.log import DeltaLog, LastCheckpoint, read_hint
from shared.tables.engine.connection import Engine

_COMMIT: Final = re.compile(r"(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\.parquet")
_MENDING: Final = "avepoint-functions-repair"


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The blobs of a table: its log, and everything else.

    Attributes:
        hint: The checkpoint that ``_last_checkpoint`` names.
        data: The paths of its data files.
    """

    commits: frozenset[int] = frozenset()
    checkpoints: frozenset[int] = frozenset()
    hint: int | None = None
    data: frozenset[str] = frozenset()

    @property
    def end(self) -> int:
        """The last version that can be read from the newest checkpoint that is there, -1 without any."""
        version = max(self.checkpoints, default=-1)
        while version + 1 in self.commits:
            version += 1
        return version

    @property
    def fault(self) -> str | None:
        """What a reader would miss; ``None`` when the log can be read to its end."""
        if self.hint is not None and self.hint not in self.checkpoints:
            return f"_last_checkpoint names version {self.hint}, whose checkpoint is not there"
        version = -1 if self.hint is None else self.hint
        while version + 1 in self.commits:
            version += 1
        newest = max(self.commits | self.checkpoints, default=-1)
        return f"its log lacks version {version + 1}, and goes on to version {newest}" if version < newest else None


async def log_files(storage: Storage, name: str) -> LogFiles:
    """Return the blobs of the table ``name``."""
    commits, checkpoints, data = set[int](), set[int](), set[str]()
    async for path in storage.list(Container.TABLES, f"{name}/"):
        file = path.removeprefix(f"{name}/")
        log_file = file.removeprefix("_delta_log/")
        if file == log_file:
            data.add(file)
        elif match := _COMMIT.fullmatch(log_file):
            commits.add(int(match[1]))
        elif match := _CHECKPOINT.fullmatch(log_file):
            checkpoints.add(int(match[1]))
    stored = await storage.read(Container.TABLES, _hint_path(name))
    hint = read_hint(stored.data) if stored else None
    return LogFiles(frozenset(commits), frozenset(checkpoints), hint, frozenset(data))


def lost_files(files: LogFiles, table: DeltaTable) -> tuple[str, ...]:
    """Return the data files that a table names and that are not there. Pure."""
    return tuple(path for path in table.files if path not in files.data)


async def mend_log(storage: Storage, name: str) -> LogFiles:
    """End a log at the last version that can be read, so that what comes next is not mixed with what stood behind."""
    files = await log_files(storage, name)
    if files.fault is None:
        return files
    for version in sorted(files.commits, reverse=True):
        if version > files.end:
            await storage.delete(Container.TABLES, f"{name}/_delta_log/{version:020d}.json")
    newest = max(files.checkpoints, default=None)
    if newest is None:
        await storage.delete(Container.TABLES, _hint_path(name))
    elif newest != files.hint:
        standing = await storage.read(Container.TABLES, _hint_path(name))
        hint = LastCheckpoint(version=newest, size=1).to_json()
        await storage.write(Container.TABLES, _hint_path(name), hint, etag=standing.etag if standing else None)
    return files


async def leave_out(storage: Storage, engine: Engine, name: str, *, clock: Clock) -> DeltaTable:
    """Take out of a table the data files that are not there, its log being mended; return the table as it is then."""
    files = await mend_log(storage, name)
    log = DeltaLog(storage, name, clock=clock)
    return await log.commit(engine, partial(_without, files), keep_since=clock())


def _without(files: LogFiles, table: DeltaTable) -> Commit | None:
    lost = lost_files(files, table)
    return Commit(_MENDING, table.version + 1, "DELETE", remove=lost) if lost else None


def _hint_path(name: str) -> str:
    return f"{name}/_delta_log/_last_checkpoint"
