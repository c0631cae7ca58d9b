from collections import deque
from fnmatch import fnmatchcase

import msgspec

_KEPT = 20_000


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """A request as it was answered.

    `time` is in epoch seconds, `status` null where no answer was sent. `resource` is the name of the list or Opus
    operation; without one there is no `query` either, as secrets could stand in it.
    """

    time: float
    method: str
    path: str
    query: str
    status: int | None
    client_request_id: str | None
    resource: str | None
    items: int


class Log:
    """What was asked, the last 20,000 requests; without tokens, secrets and bodies."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def clear(self) -> None:
        self._entries.clear()

    def entries(self, path: str = "*") -> list[Entry]:
        """Return the entries whose path matches the glob, oldest first."""
        return [entry for entry in self._entries if fnmatchcase(entry.path, path)]
