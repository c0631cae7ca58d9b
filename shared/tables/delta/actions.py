"""What stands in the log of a Delta table, and what a table is after it. Pure.

Reader version 1 and writer version 2 of the Delta transaction protocol: no table features, no column mapping, no
partitions. Unknown actions of other writers (``commitInfo``, ``cdc``, ``domainMetadata``) are passed over.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field

from shared.document import Document
from shared.errors import GiveUp
from shared.tables.schema.columns import ColumnType

PROTOCOL: Final = {"minReaderVersion": 1, "minWriterVersion": 2}
_DELTA: Final[Mapping[ColumnType, str]] = {"json": "string"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownProtocol(GiveUp):
    """Another program has raised the table to a protocol that this app does not write."""


class DataFile(Document):
    """A Parquet file of a table.

    Attributes:
        tags: What the app has to know of its rows, by name.
    """

    path: str
    size: int
    rows: int
    written_at: datetime
    tags: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeltaColumn:
    """A column of a Delta table; ``facts`` are kept as its metadata."""

    name: str
    type: ColumnType
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The id of a table, its columns, and when it was made."""

    id: str
    columns: tuple[DeltaColumn, ...]
    created_at: datetime

    @property
    def types(self) -> dict[str, ColumnType]:
        """The types of the columns, in their order."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True, slots=True)
class DeltaTable:
    """A table at one version.

    Attributes:
        files: Its data files, by path.
        removed: Files that were replaced, and when.
        transactions: The newest version that each application has committed.
    """

    version: int = -1
    metadata: Metadata | None = None
    files: Mapping[str, DataFile] = field(default_factory=dict)
    removed: Mapping[str, datetime] = field(default_factory=dict)
    transactions: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(file.rows for file in self.files.values())

    def applied(self, version: int, actions: Iterable[Mapping[str, object]]) -> "DeltaTable":
        """Return the table after one more commit.

        Raises:
            UnknownProtocol: The commit asks for more of a reader or a writer than this app knows.
        """
        files, removed, transactions = dict(self.files), dict(self.removed), dict(self.transactions)
        metadata = self.metadata
        for action in actions:
            for name, body in action.items():
                match name, body:
                    case "add", dict():
                        file = _data_file(body)
                        files[file.path] = file
                        removed.pop(file.path, None)
                    case "remove", dict():
                        files.pop(str(body["path"]), None)
                        removed[str(body["path"])] = _moment(body.get("deletionTimestamp") or 0)
                    case "metaData", dict():
                        metadata = _metadata(body)
                    case "protocol", dict():
                        _check(body)
                    case "txn", dict():
                        transactions[str(body["appId"])] = int(str(body["version"]))
        return replace(
            self, version=version, metadata=metadata, files=files, removed=removed, transactions=transactions
        )

    def checkpoint_actions(self, *, since: datetime) -> Iterator[dict[str, object]]:
        """Yield what a checkpoint has to hold; files removed before ``since`` are forgotten."""
        yield {"protocol": PROTOCOL}
        if self.metadata is not None:
            yield metadata_action(self.metadata)
        for application, version in self.transactions.items():
            yield {"txn": {"appId": application, "version": version}}
        for file in self.files.values():
            yield add_action(file, data_change=False)
        for path, removed_at in self.removed.items():
            if removed_at >= since:
                yield _remove_action(path, removed_at, data_change=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of a table.

    Attributes:
        application: Who commits, and ``transaction`` which of its changes this is: no change is made twice.
        metadata: Where the columns change.
        data_change: ``False`` where rows only lie in other files than before.
        about: What a person who reads the log may want to know.
    """

    application: str
    transaction: int
    operation: str
    add: tuple[DataFile, ...] = ()
    remove: tuple[str, ...] = ()
    metadata: Metadata | None = None
    data_change: bool = True
    about: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, *, now: datetime, is_first: bool) -> bytes:
        """Return the content of the log file."""
        actions: list[dict[str, object]] = [
            {
                "commitInfo": {
                    "timestamp": _millis(now),
                    "operation": self.operation,
                    "operationParameters": dict(self.about),
                    "engineInfo": "avepoint-functions",
                }
            }
        ]
        if is_first:
            actions.append({"protocol": PROTOCOL})
        if self.metadata is not None:
            actions.append(metadata_action(self.metadata))
        actions.append({"txn": {"appId": self.application, "version": self.transaction, "lastUpdated": _millis(now)}})
        actions += [_remove_action(path, now, data_change=self.data_change) for path in self.remove]
        actions += [add_action(file, data_change=self.data_change) for file in self.add]
        return b"".join(json.dumps(action, separators=(",", ":")).encode() + b"\n" for action in actions)


def read_actions(data: bytes) -> list[dict[str, object]]:
    """Return the actions of one log file."""
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def add_action(file: DataFile, *, data_change: bool) -> dict[str, object]:
    """Return the action that makes a file part of the table."""
    return {
        "add": {
            "path": file.path,
            "partitionValues": {},
            "size": file.size,
            "modificationTime": _millis(file.written_at),
            "dataChange": data_change,
            "stats": json.dumps({"numRecords": file.rows}, separators=(",", ":")),
            "tags": file.tags,
        }
    }


def metadata_action(metadata: Metadata) -> dict[str, object]:
    """Return the action that says which columns the table has."""
    fields = [
        {
            "name": column.name,
            "type": _DELTA.get(column.type, column.type),
            "nullable": True,
            "metadata": {"type": column.type, **column.facts},
        }
        for column in metadata.columns
    ]
    return {
        "metaData": {
            "id": metadata.id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}, separators=(",", ":")),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": _millis(metadata.created_at),
        }
    }


def _remove_action(path: str, removed_at: datetime, *, data_change: bool) -> dict[str, object]:
    return {"remove": {"path": path, "deletionTimestamp": _millis(removed_at), "dataChange": data_change}}


def _data_file(body: Mapping[str, object]) -> DataFile:
    stats = json.loads(str(body.get("stats") or "{}"))
    tags = body.get("tags")
    return DataFile(
        path=str(body["path"]),
        size=int(str(body["size"])),
        rows=int(stats.get("numRecords", 0)),
        written_at=_moment(body.get("modificationTime") or 0),
        tags={str(name): str(value) for name, value in tags.items()} if isinstance(tags, dict) else {},
    )


def _metadata(body: Mapping[str, object]) -> Metadata:
    columns = [
        DeltaColumn(
            name=one["name"],
            type=one["metadata"].get("type", one["type"]),
            facts={name: value for name, value in one["metadata"].items() if name != "type"},
        )
        for one in json.loads(str(body["schemaString"]))["fields"]
    ]
    return Metadata(id=str(body["id"]), columns=tuple(columns), created_at=_moment(body.get("createdTime") or 0))


def _check(protocol: Mapping[str, object]) -> None:
    reader, writer = (int(str(protocol.get(name) or 1)) for name in PROTOCOL)
    if reader > PROTOCOL["minReaderVersion"] or writer > PROTOCOL["minWriterVersion"]:
        raise UnknownProtocol(
            f"another program has raised a table to Delta reader version {reader} and writer version {writer}",
            remedy="Delete the folder of the table in the container 'tables', then rebuild it.",
        )


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(millis: object) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(str(millis)))
