"""The way through blobs by the time of their last write: new ones first, then ever older ones."""

from collections.abc import AsyncIterator
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Self

from shared.azure.storage import Listed
from shared.document import StoredValue


class Trail(StoredValue):
    """Which blobs were seen: all between the newest and the oldest.

    Attributes:
        newest: When the newest one was written, to the second, as storage tells it.
        at_newest: Those that were written in that second: others may follow in it.
        oldest: When the oldest one was written, and its path.
        ended: Nothing was left, at least once.
    """

    newest: datetime | None = None
    at_newest: tuple[str, ...] = ()
    oldest: tuple[datetime, str] | None = None
    ended: bool = False

    def is_new(self, blob: Listed) -> bool:
        """Whether a blob was written after the newest one that was seen, or beside it."""
        if self.newest is None or blob.modified < self.newest:
            return False
        return blob.modified > self.newest or blob.path not in self.at_newest

    def is_older(self, blob: Listed) -> bool:
        """Whether a blob comes after the oldest one that was seen."""
        return self.oldest is None or _place(blob) < self.oldest

    def past(self, blob: Listed) -> Self:
        """Return the trail once a blob was seen."""
        newest = blob.modified if self.newest is None else max(self.newest, blob.modified)
        beside = self.at_newest if newest == self.newest else ()
        return self.model_copy(
            update={
                "newest": newest,
                "at_newest": (*beside, blob.path) if blob.modified == newest else beside,
                "oldest": _place(blob) if self.oldest is None else min(self.oldest, _place(blob)),
            }
        )


async def next_blobs(trail: Trail, blobs: AsyncIterator[Listed], count: int) -> list[Listed]:
    """Return the next ``count`` blobs of a trail, in the memory of a few times as many."""
    new, older = list[Listed](), list[Listed]()
    async for blob in blobs:
        if trail.is_new(blob):
            new.append(blob)
        elif trail.is_older(blob):
            older.append(blob)
        if len(new) + len(older) > 8 * count:
            new, older = nsmallest(count, new, key=_place), nlargest(count, older, key=_place)
    return [*nsmallest(count, new, key=_place), *nlargest(count, older, key=_place)][:count]


def _place(blob: Listed) -> tuple[datetime, str]:
    return blob.modified, blob.path
