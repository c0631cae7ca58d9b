"""Items that have not ended: how many, and how far back the next window has to reach for them. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.avepoint.fields import Ending
from shared.avepoint.page import Page
from shared.avepoint.splitting import read_item

UNKNOWN_START = 0
"""Stands for the start of an item that does not tell it: the next window reaches back as far as it may."""


class OpenItems:
    """What has been seen of the items that have not ended.

    Attributes:
        count: How many there were.
        oldest: The second in which the oldest of each parent started; without parents, of none.
    """

    def __init__(self, ending: Ending) -> None:
        self.count = 0
        self.oldest: dict[bytes, int] = {}
        self._ending = ending

    def take(self, page: Page) -> None:
        """Look at the items of a page; those that are not objects tell nothing."""
        for item in page.items:
            fields = read_item(item)
            if isinstance(fields, dict) and not self._ending.has_ended(fields):
                self.count += 1
                self.oldest[page.parent] = min(self._started(fields), self.oldest.get(page.parent, _LAST))

    def _started(self, fields: Mapping[str, object]) -> int:
        name = (self._ending.start or "").casefold()
        return seconds_of(next((value for key, value in fields.items() if key.casefold() == name), None))


_LAST = 1 << 62


def seconds_of(written: object) -> int:
    """Return the second of a time as AvePoint writes it, in UTC where no zone is told."""
    try:
        instant = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return UNKNOWN_START
    if instant is None:
        return UNKNOWN_START
    return max(int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()), UNKNOWN_START)
