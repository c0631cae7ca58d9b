"""What the commands print: under the name that was typed, in colours on a terminal that has some."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO, TextIOWrapper
from typing import Final, TextIO, override

from tools.commands.listing import COMMANDS, PROGRAM

NAMES: Final = {
    f"python -m {command.module.removesuffix('.__main__')}": f"{PROGRAM} {name}"
    for name, command in COMMANDS.items()
    if command.module
}
_NAME = re.compile("|".join(rf"{re.escape(name)}(?![\w.])" for name in sorted(NAMES, key=len, reverse=True)))
_USAGE = re.compile(r"^usage: .*(?:\n +.*)*", re.MULTILINE)
_COLOURS: Final = {"ok": 32, "warning": 33, "error": 31, "unhealthy": 31, "succeeded": 32, "partial": 33, "failed": 31}
_STATUS = re.compile(rf"^({'|'.join(_COLOURS)})\b", re.MULTILINE)
_REMEDY = re.compile(r"^ *-> .*$", re.MULTILINE)


class Spoken(StringIO):
    """Writes to a stream what was made of the text for its reader."""

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        super().__init__()
        self._stream, self._coloured = stream, coloured

    @override
    def write(self, text: str, /) -> int:
        text = renamed(text)
        self._stream.write(painted(text) if self._coloured else text)
        return len(text)

    @override
    def flush(self) -> None:
        self._stream.flush()

    @override
    def isatty(self) -> bool:
        return self._stream.isatty()


def renamed(text: str) -> str:
    """Return a text with the commands as they are called here. Pure."""
    return _NAME.sub(lambda found: NAMES[found[0]], _USAGE.sub(lambda found: _shifted(found[0]), text))


def _shifted(usage: str) -> str:
    """Move the further lines of a usage to the left, as far as its name gets shorter."""
    found = _NAME.search(usage)
    moved = len(found[0]) - len(NAMES[found[0]]) if found else 0
    return usage.replace(f"\n{' ' * moved}", "\n")


def painted(text: str) -> str:
    """Return a text whose verdicts are in colours, and whose remedies are dim. Pure."""
    text = _STATUS.sub(lambda found: f"\x1b[{_COLOURS[found[1]]}m{found[1]}\x1b[0m", text)
    return _REMEDY.sub(lambda found: f"\x1b[2m{found[0]}\x1b[0m", text)


def has_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal with colours that its reader wants (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"


@contextmanager
def spoken(environ: Mapping[str, str], *, as_it_is: bool) -> Iterator[None]:
    """Let everything that is printed be made fit for its reader; standard output not, where a program reads it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without every character
    out, err = (Spoken(stream, coloured=has_colours(stream, environ)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(sys.stdout if as_it_is else out), redirect_stderr(err):
        yield
