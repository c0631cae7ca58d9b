"""What two snapshots of the same things have that the other has not. Pure.

The EnPower Web API writes names with a capital (``AppId``), the Graph API the same names without (``appId``); the ids
have the same shape in both (EnPower Web API guide). So names, and ids, are the same when they differ in case only.
"""

from collections.abc import Iterable
from heapq import nsmallest

import msgspec

from shared.document import Document

DIFFERENCES_NAMED = 10
"""How many of the ids that are missing are named."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Contents:
    """What is read of the items of a snapshot: how many there are, their ids, and the names of their fields."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.items = 0
        self.without_id = 0
        self.ids: set[str] = set()
        self.names: set[str] = set()

    def add(self, lines: Iterable[bytes]) -> None:
        """Take items, one a line; one that cannot be read has no id."""
        for line in lines:
            self.items += 1
            try:
                identity = self._identity(_decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                identity = None
            if identity:
                self.ids.add(str(identity).casefold())
            else:
                self.without_id += 1

    def _identity(self, item: dict[str, msgspec.Raw]) -> object:
        self.names |= item.keys()
        return msgspec.json.decode(item.get(self._key_in(item), b"null"))

    def _key_in(self, item: dict[str, msgspec.Raw]) -> str:
        if self._key in item:
            return self._key
        return next((name for name in item if name.casefold() == self._key.casefold()), self._key)


class Ids(Document):
    """Ids that one side has not: how many, and the first of them, in lower case and in order."""

    count: int
    first: tuple[str, ...]


class Differences(Document):
    """What the two sides have not in common, and which fields have another name.

    New fields of the successor, alone, make no difference: they are what it is for.
    """

    missing_in_successor: Ids
    missing_in_legacy: Ids
    without_id: int
    fields_missing_in_successor: tuple[str, ...]
    fields_missing_in_legacy: tuple[str, ...]
    fields_renamed: dict[str, str]

    @property
    def replaceable(self) -> bool:
        """Whether the successor can stand in for the legacy dataset."""
        missing = self.missing_in_successor.count + self.missing_in_legacy.count + self.without_id
        return not missing and not self.fields_missing_in_successor


def differences(legacy: Contents, successor: Contents) -> Differences:
    """Compare what is in a legacy dataset with what is in its successor."""
    old, new = _by_folded(legacy.names), _by_folded(successor.names)
    return Differences(
        missing_in_successor=_missing(legacy.ids, successor.ids),
        missing_in_legacy=_missing(successor.ids, legacy.ids),
        without_id=legacy.without_id + successor.without_id,
        fields_missing_in_successor=_only(old, new),
        fields_missing_in_legacy=_only(new, old),
        fields_renamed={old[name]: new[name] for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    )


def _missing(there: set[str], elsewhere: set[str]) -> Ids:
    missing = there - elsewhere
    return Ids(count=len(missing), first=tuple(nsmallest(DIFFERENCES_NAMED, missing)))


def _by_folded(names: Iterable[str]) -> dict[str, str]:
    return {name.casefold(): name for name in names}


def _only(there: dict[str, str], elsewhere: dict[str, str]) -> tuple[str, ...]:
    return tuple(there[name] for name in sorted(there.keys() - elsewhere.keys()))
