"""The code fences of the project's pages, and how what a page shows is compared with what comes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from sandbox.processes import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "infra").glob("*.md")])
ANYTHING = "…"
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fence:
    """A code fence: ``info`` is what follows the backticks, such as ``sh azure``."""

    info: tuple[str, ...]
    body: str

    @property
    def needs_azure(self) -> bool:
        return self.info[:2] == ("sh", "azure")


def fences(page: Path) -> list[Fence]:
    """Every fence of a page, in order."""
    return fences_of(page.read_text())


def fences_of(text: str) -> list[Fence]:
    """Every fence of a text, in order."""
    return [Fence(tuple(found["info"].split()), dedent(found["body"])) for found in _FENCE.finditer(text)]


def commands(page: Path) -> list[Fence]:
    """The fences of a page that hold shell commands."""
    return [fence for fence in fences(page) if fence.info[:1] == ("sh",)]


def answers(page: Path) -> Iterator[tuple[Fence, Fence | None]]:
    """Each fence that runs anywhere, with the fence right after it where that shows its answer."""
    all_of_them = fences(page)
    for fence, following in zip(all_of_them, [*all_of_them[1:], None], strict=True):
        if fence.info == ("sh",):
            yield fence, following if following and following.info in {("json",), ("text",)} else None


def shows(shown: object, came: object) -> bool:
    """Whether a page shows what came: it may leave out names of objects and entries of lists, and end words early."""
    match shown, came:
        case dict(), dict():
            return all(name in came and shows(value, came[name]) for name, value in shown.items())
        case list(), list():
            return all(any(shows(entry, other) for other in came) for entry in shown)
        case str(), str():
            return same_words(shown, came)
        case _:
            return shown == came and type(shown) is type(came)


def shows_lines(shown: str, came: str) -> bool:
    """Whether the lines a page shows come in this order, with others between them."""
    lines = iter(came.splitlines())
    return all(any(same_words(line, other) for other in lines) for line in shown.splitlines())


def same_words(shown: str, came: str) -> bool:
    """Whether texts are equal but for what the page leaves out, and for the width of columns."""
    pattern = ".*".join(r"\s+".join(map(re.escape, re.split(" +", part))) for part in shown.split(ANYTHING))
    return re.fullmatch(pattern.replace(r"\s+.*", ".*"), came) is not None
