"""The name that somebody may have meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one, whatever their case, or ``None`` where none is like it."""
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[found[0]] if found else None


def closest_hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the closest one; empty where none is like it."""
    found = closest(name, known)
    return f"; the closest name is {found!r}" if found else ""
