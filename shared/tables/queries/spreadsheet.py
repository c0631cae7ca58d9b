"""CSV (RFC 4180) that spreadsheets open without running what stands in it. Pure.

A cell that begins with one of ``= + - @``, a tab or a carriage return is taken for a formula (OWASP, *CSV Injection*);
it gets an apostrophe in front, unless it is a number.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CHUNK = 65_536


def csv_chunks(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield rows, the heading first, as pieces of UTF-8 of some 64 KB."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(safe_cell(cell) for cell in row)
        if buffer.tell() >= _CHUNK:
            yield buffer.getvalue().encode(errors="backslashreplace")
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode(errors="backslashreplace")


def safe_cell(cell: str) -> str:
    """Return what a spreadsheet shows as it is, and does not run."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
