"""The reports that come with the app: ``shared/tables/reports/*.sql``, each with a head of comments that describes it.

``title`` and ``description`` say what it shows. Of the datasets in ``needs`` all have to have tables, of those in
``uses`` any, but at least one where nothing is needed. ``decides`` names columns that the report cannot do without: it
is not given where they are hidden. ``parameter`` is a name, its default, and behind ``|`` what it means; a default in
digits makes it a whole number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import InvalidInput

_FOLDER = Path(__file__).parents[1] / "reports"
_HEAD = re.compile(r"-- (?P<word>[a-z]+): (?P<text>.+)")
_PARAMETER = re.compile(r"(?P<name>[a-z]+) = (?P<default>.+?) \| (?P<description>.+)")

_NUMBER = re.compile(r"[0-9]{1,5}")
_LARGEST_NUMBER = 36_500
_LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class ReportParameter:
    """What a caller may choose in a report."""

    name: str
    default: str
    description: str

    def value(self, text: str | None) -> int | str:
        """Return what a caller gave, or the default.

        Raises:
            InvalidInput: It is too long, or not a whole number where one is needed.
        """
        given = self.default if text is None else text
        if not self.default.isdecimal():
            return self._text(given)
        if not (_NUMBER.fullmatch(given) and int(given) <= _LARGEST_NUMBER):
            message = f"{self.name} is a whole number up to {_LARGEST_NUMBER:,}, not {given[:50]!r}"
            raise InvalidInput(message, target=self.name)
        return int(given)

    def _text(self, given: str) -> str:
        if len(given) > _LONGEST_TEXT:
            raise InvalidInput(f"{self.name} has at most {_LONGEST_TEXT:,} characters", target=self.name)
        return given


@dataclass(frozen=True, slots=True)
class ReportDefinition:
    """One report: what it shows, of which datasets, and the SQL that makes it."""

    name: str
    title: str
    description: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    decides: tuple[str, ...]
    parameters: tuple[ReportParameter, ...]
    sql: str

    def values(self, given: Mapping[str, str]) -> dict[str, int | str]:
        """Return a value for each parameter.

        Raises:
            InvalidInput: One that was given is not of its kind.
        """
        return {one.name: one.value(given.get(one.name)) for one in self.parameters}


@cache
def reports() -> Mapping[str, ReportDefinition]:
    """Return all reports by name, in the order of their names."""
    return {
        path.stem: parse_report(path.stem, path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.sql"))
    }


def parse_report(name: str, text: str) -> ReportDefinition:
    """Return a report from the text of its file.

    Raises:
        ValueError: Its head lacks something, or has something else.
    """
    lines = text.splitlines()
    head = [found for line in lines if (found := _HEAD.fullmatch(line))]
    told: dict[str, list[str]] = {}
    for found in head:
        told.setdefault(found["word"], []).append(found["text"])
    return ReportDefinition(
        name,
        title=_one(told.pop("title")),
        description=_one(told.pop("description")),
        needs=_names(told.pop("needs", [])),
        uses=_names(told.pop("uses", [])),
        decides=_names(told.pop("decides", [])),
        parameters=tuple(_parameter(line) for line in told.pop("parameter", [])),
        sql=_rest(lines, told),
    )


def _one(texts: Sequence[str]) -> str:
    (text,) = texts
    return text


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for line in lines for name in line.split(","))


def _parameter(line: str) -> ReportParameter:
    found = _PARAMETER.fullmatch(line)
    if found is None:
        raise ValueError(f"'{line}' is not 'name = default | meaning'")
    return ReportParameter(found["name"], found["default"], found["description"])


def _rest(lines: Sequence[str], unknown: Mapping[str, object]) -> str:
    if unknown:
        raise ValueError(f"unknown in a head: {', '.join(unknown)}")
    return "\n".join(line for line in lines if not line.startswith("--")).strip()
