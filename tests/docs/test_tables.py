"""What the page on tables shows can be pasted, and answers the questions it says it answers."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import node
from sandbox.memory_storage import MemoryStorage
from sandbox.processes import ROOT
from tests.conftest import Clock
from tests.docs.fences import fences
from tests.tables.conftest import copied
from tests.tables.nights import Nights

PAGE = ROOT / "docs/tables.md"
QUERIES = {str(number): fence.body for number, fence in enumerate(fences(PAGE)) if fence.info == ("powerquery",)}
PROGRAMS = [fence.body for fence in fences(PAGE) if fence.info == ("python",)][1:]


def parsed(texts: dict[str, str]) -> dict[str, str | None]:
    """What the parser of Power Query says against each text."""
    done = subprocess.run(  # noqa: S603 - our own program
        [str(node()), str(Path(__file__).with_name("powerquery.mjs"))],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: dict[str, str | None] = json.loads(done.stdout)
    return answers


def test_what_is_pasted_into_power_query_is_understood() -> None:
    assert len(QUERIES) == 3
    assert {name: fault for name, fault in parsed(QUERIES).items() if fault} == {}
    assert parsed({"broken": "let a = in a"})["broken"]


@pytest.fixture(scope="module")
async def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights of Power Apps, as a folder."""
    clock = Clock()
    nights = Nights.of(MemoryStorage(clock), clock, "graph/enpower-powerapps")
    await nights.night([{"id": "a", "appType": "Canvas"}, {"id": "b", "appType": "Model"}, {"id": "c"}])
    await nights.night([{"id": "a", "appType": "Canvas"}, {"id": "d", "appType": "Canvas"}, {"id": "c"}])
    return copied(nights.storage, tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("program", PROGRAMS, ids=["polars", "pandas", "duckdb"])
def test_the_four_questions_are_answered(tables: Path, program: str) -> None:
    known: dict[str, Any] = {"tables": str(tables), "options": None}
    exec(program, known)  # noqa: S102 - what the page shows
    assert dict(rows(known["there"].reset_index() if hasattr(known["there"], "reset_index") else known["there"])) == {
        "Canvas": 2,
        None: 1,
    }
    assert [row[1] for row in rows(known["new"])] == ["d"]
    assert [row[1] for row in rows(known["gone"])] == ["b"]
    assert rows(known["grown"]) == [("2026-01-01", 3), ("2026-01-02", 3)]


def rows(found: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - of three libraries
    """The rows of a frame, whoever made it."""
    if isinstance(found, list):
        return found
    if hasattr(found, "rows"):
        return list(found.rows())
    return [tuple(None if value != value else value for value in row) for row in found.itertuples(index=False)]  # noqa: PLR0124 - not a number
