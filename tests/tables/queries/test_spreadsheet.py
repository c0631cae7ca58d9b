"""CSV comes back as it went in, and a spreadsheet runs nothing of it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tables.queries.spreadsheet import csv_chunks, safe_cell


@pytest.mark.parametrize(
    "cell", ["=1+1", "+49 170", "-1 apps", "@SUM(A1)", "\tx", "\r=1", "-", "+", "=5", "--5", "-5\n", "-0x1", "-\u0665"]
)
def test_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=b", "-5", "+5", "-0.5", "-1e-07", "5", "'=1", " =1", "true", '{"a":"=1"}'])
def test_numbers_and_everything_else_stay(cell: str) -> None:
    assert safe_cell(cell) == cell


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2)))
def test_a_reader_of_csv_gets_the_cells_back(rows: list[list[str]]) -> None:
    text = b"".join(csv_chunks(rows)).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[safe_cell(cell) for cell in row] for row in rows]


def test_rows_come_in_pieces() -> None:
    chunks = list(csv_chunks(["x" * 100, "ü" * 100] for _ in range(2_000)))
    assert len(chunks) > 5
    assert b"".join(chunks).count(b"\r\n") == 2_000
