"""Lists of due records: where one goes on, and how one that never ends is noticed. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Self

from shared.avepoint.opus import Record
from shared.errors import BrokenChain


@dataclass(frozen=True, slots=True)
class PageGuard:
    """Notices a list that comes back to a page, in a constant space that fits into a link.

    One page is kept to compare with, and it moves to the first, second, fourth, eighth … page: Brent's algorithm
    (BIT 20, 1980). Row keys are unique in a connection, so no page of a list that ends comes twice.
    """

    pages: int = 0
    kept: str = ""

    def observe(self, keys: Iterable[str]) -> Self:
        """Return the guard after one more page with these row keys.

        Raises:
            BrokenChain: The list has come back to a page.
        """
        page = sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]
        if page == self.kept:
            raise BrokenChain("the list of due records repeats its pages without end")
        pages = self.pages + 1
        return replace(self, pages=pages, kept=page if pages.bit_count() == 1 else self.kept)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list of due records: a page, and how many of its records were given out already."""

    start_index: str | None = None
    skip: int = 0
    guard: PageGuard = PageGuard()


@dataclass(frozen=True, slots=True)
class DueRecords:
    """Some due records, and where the list goes on; ``None`` at its end."""

    records: tuple[Record, ...]
    next_cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class StillDue:
    """Which of some ids are due.

    Attributes:
        whole: The list is not longer than what was read of it.
        alike: The other ids that the list has in another case, or with other blanks around them: perhaps they are due.
    """

    ids: frozenset[str]
    whole: bool
    alike: frozenset[str] = frozenset()


@dataclass(slots=True)
class PageWalk:
    """One walk along a list, which ends with an error where the list repeats itself."""

    cursor: Cursor
    _indexes: set[str | None] = field(default_factory=set)
    _keys: set[str] = field(default_factory=set)

    def next_cursor(self, records: Collection[Record], next_index: str | None) -> Cursor | None:
        """Return where the list goes on behind a page.

        Raises:
            BrokenChain: It goes back to where it was.
        """
        keys = {str(record["rowKey"]) for record in records}
        guard = self.cursor.guard
        if not self.cursor.skip:  # a page that is read for the second time was seen before
            guard = guard.observe(keys) if keys else guard
        if next_index is not None and keys and keys <= self._keys:
            raise BrokenChain("the list of due records repeats its records without end")
        self._keys |= keys
        self._indexes.add(self.cursor.start_index)
        if next_index is None:
            return None
        if next_index in self._indexes:
            raise BrokenChain(f"the list of due records comes back to start index {next_index!r}")
        self.cursor = Cursor(next_index, 0, guard)
        return self.cursor
