"""docs/errors.md: every status, every kind of error, and texts that the app really says."""

import inspect
import re
from collections.abc import Iterator

from functions.http.error_responses import CODES, error_response, internal_error
from sandbox.processes import ROOT
from shared import errors
from shared.errors import AppError, UpstreamFailed

TEXT = (ROOT / "docs" / "errors.md").read_text()


def rows(title: str) -> list[list[str]]:
    """The rows of the table of a section, without its head."""
    section = re.split(r"^## ", TEXT.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")][
        1:
    ]


def kinds() -> Iterator[str]:
    """Every error of the tree but its root."""
    for name, one in inspect.getmembers(errors, inspect.isclass):
        if issubclass(one, AppError) and one is not AppError:
            yield name


def test_every_status_is_explained() -> None:
    answered = {(str(int(status)), f"`{code}`") for _, status, code in CODES}
    for response in (internal_error(), error_response(UpstreamFailed("no", status=500))):
        answered.add((str(response.status_code), f"`{response.headers['x-ms-error-code']}`"))
    assert {(status, code) for status, code, *_ in rows("By number")} == answered


def test_every_kind_of_error_is_explained() -> None:
    assert sorted(row[0].strip("`") for row in rows("By kind")) == sorted(kinds())


def test_every_text_is_one_that_the_app_says() -> None:
    sources = [path.read_text() for top in ("shared", "functions", "tools") for path in (ROOT / top).rglob("*.py")]
    said = [row[0].strip("`") for row in rows("By text")]
    assert said
    assert [text for text in said if not any(text in re.sub(r"\{\w+\}", "APP_KEY", one) for one in sources)] == []


def test_every_row_says_what_to_do() -> None:
    assert all(row[-1] for title in ("By number", "By kind", "By text") for row in rows(title))
