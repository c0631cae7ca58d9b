"""The files of the status page: HTML, style, script, and the chart library uPlot as its authors ship it (MIT)."""

from functools import cache
from pathlib import Path
from typing import Final

_FOLDER = Path(__file__).parent / "assets"

PAGE_FILES: Final = {
    "status.css": "text/css",
    "status.js": "text/javascript",
    "uplot.css": "text/css",
    "uplot.js": "text/javascript",
    "uplot.LICENSE.txt": "text/plain",
}
"""What the page may ask for, with its media type."""


@cache
def page_file(name: str) -> bytes:
    """Return the content of a file of the page; ``index.html`` is the page itself."""
    return (_FOLDER / name).read_bytes()
