"""Names of columns: what Delta takes, unique whatever their case. Pure.

Without column mapping Delta forbids blanks, line feeds, tabs and any of ``,;{}()=`` in names, and takes names that
differ in case for the same one (Delta transaction protocol, *Schema Serialization Format*).
"""

import re
from collections.abc import Collection, Iterable
from itertools import count

_FORBIDDEN = re.compile(r"[ ,;{}()\n\t=\x00-\x1f\ud800-\udfff]")


def column_names(fields: Iterable[str], *, taken: Collection[str]) -> dict[str, str]:
    """Return a column name for each field; fields that can keep their name come first.

    Args:
        taken: Names that other columns have.
    """
    folded = {name.casefold() for name in taken}
    names: dict[str, str] = {}
    waiting: list[str] = []
    for field in fields:
        if is_allowed(field) and field.casefold() not in folded:
            names[field] = field
            folded.add(field.casefold())
        else:
            waiting.append(field)
    for field in waiting:
        names[field] = _unique(_FORBIDDEN.sub("_", field) or "_", folded)
        folded.add(names[field].casefold())
    return names


def is_allowed(name: str) -> bool:
    """Return whether Delta takes ``name`` as it is."""
    return bool(name) and _FORBIDDEN.search(name) is None


def _unique(name: str, folded: Collection[str]) -> str:
    if name.casefold() not in folded:
        return name
    return next(numbered for n in count(2) if (numbered := f"{name}_{n}").casefold() not in folded)
