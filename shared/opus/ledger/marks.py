"""Lists of operations: small blobs whose names are in order of time, so that a list is read without the operations."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

from shared.azure.damage import note_strange
from shared.azure.storage import Container, Storage
from shared.errors import Conflict
from shared.opus.ledger.documents import Order

OPEN = "open/"

_DATES = "dates/"
_UNCERTAIN = "uncertain/"
_STAMP = "%Y%m%dT%H%M%S.%f"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MARK = re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{32}", re.ASCII)


class Marks:
    """What is open, what began on a day, and what waits for a person; raises what ``Storage`` raises."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def day_path(self, order: Order) -> str:
        """Return where the list of its day names an operation."""
        return f"{_DATES}{order.created_at.astimezone(UTC):%Y-%m-%d}/{mark_of(order)}"

    async def note(self, path: str, content: bytes = b"") -> None:
        """Write a mark, unless it is there."""
        try:
            await self._storage.write(Container.OPERATIONS, path, content, etag=None)
        except Conflict:
            return

    async def note_uncertain(self, order: Order) -> None:
        """Note that an operation waits for a person."""
        await self.note(f"{_UNCERTAIN}{mark_of(order)}")

    async def waits_for_a_person(self, order: Order) -> bool:
        """Return whether a list names an operation as one that waits for a person."""
        return await self._storage.read(Container.OPERATIONS, f"{_UNCERTAIN}{mark_of(order)}") is not None

    async def settle(self, order: Order) -> None:
        """Note that nothing is uncertain any more."""
        await self._storage.delete(Container.OPERATIONS, f"{_UNCERTAIN}{mark_of(order)}")

    async def unfinished(self) -> list[str]:
        """Return every operation for which something is left to do."""
        return [path.removeprefix(OPEN) async for path in self._storage.list(Container.OPERATIONS, OPEN)]

    async def of_date(self, day: date, *, after: str, count: int) -> list[str]:
        """Return at most ``count`` marks of operations created on ``day``, in order of time, beyond ``after``."""
        return await self._marks(f"{_DATES}{day.isoformat()}/", after, count)

    async def uncertain(self, *, after: str, count: int) -> list[str]:
        """Return at most ``count`` marks of operations that wait for a person, in order of time, beyond ``after``."""
        return await self._marks(_UNCERTAIN, after, count)

    async def all_uncertain(self) -> AsyncIterator[str]:
        """Yield the marks of all operations that wait for a person."""
        async for mark in self._below(_UNCERTAIN):
            yield mark

    async def days(self) -> list[date]:
        """Return the days on which operations began that are still kept."""
        found = list[date]()
        async for name in self._storage.list_folders(Container.OPERATIONS, _DATES):
            if day := day_of(name):
                found.append(day)
            else:
                note_strange(f"{Container.OPERATIONS}/{_DATES}{name}/")
        return found

    async def of_day(self, day: date) -> AsyncIterator[str]:
        """Yield the marks of all operations that began on a day."""
        async for mark in self._below(f"{_DATES}{day.isoformat()}/"):
            yield mark

    async def _marks(self, prefix: str, after: str, count: int) -> list[str]:
        marks: list[str] = []
        async for mark in self._below(prefix):
            if mark > after:
                marks.append(mark)
            if len(marks) == count:
                break
        return marks

    async def _below(self, folder: str) -> AsyncIterator[str]:
        """Yield the marks in a folder, in order of time; what is not one is named and passed over."""
        async for path in self._storage.list(Container.OPERATIONS, folder):
            mark = path.removeprefix(folder)
            if is_mark(mark):
                yield mark
            else:
                note_strange(f"{Container.OPERATIONS}/{path}")


def is_mark(text: str) -> bool:
    """Whether a text can be the mark of an operation."""
    try:
        return bool(_MARK.fullmatch(text) and began_at(text))
    except ValueError:
        return False


def day_of(name: str) -> date | None:
    """Return the day that a folder is named after; ``None`` where it is named after none."""
    try:
        return date.fromisoformat(name) if _DAY.fullmatch(name) else None
    except ValueError:
        return None


def mark_of(order: Order) -> str:
    """Return the mark of an operation, which sorts by time."""
    return f"{order.created_at.astimezone(UTC).strftime(_STAMP)}-{order.operation_id}"


def began_at(mark: str) -> datetime:
    """Return when the operation of a mark began."""
    return datetime.strptime(mark.partition("-")[0], _STAMP).replace(tzinfo=UTC)


def operation_id_of(mark: str) -> str:
    """Return the operation that a mark in a list stands for."""
    return mark.rpartition("-")[2]
