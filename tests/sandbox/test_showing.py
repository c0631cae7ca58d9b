"""What the demo shows fits into the columns of the terminal, and nothing of it is cut off."""

from collections import Counter
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from sandbox.demo.harvest import night_progress
from sandbox.demo.opus import OpusRound
from sandbox.demo.showing import VERDICTS, change_table, opus_table, snapshot_table
from sandbox.demo.snapshots import Changed
from sandbox.readback import Snapshot
from tests.terminal import columns, too_wide

NAMES = (
    "graph/enpower-agent-activities",
    "graph/環境と接続の一覧表の名前がとても長い場合",
    "elements/" + "e\u0301" * 24,
)
WIDTHS = pytest.mark.parametrize("width", [40, 80, 120])


def shown(what: RenderableType, width: int) -> str:
    console = Console(file=StringIO(), width=width, highlight=False, emoji=False, markup=False)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]  # it is the one from above


def letters(text: str) -> Counter[str]:
    """What there is to read of a text, wherever its lines end."""
    return Counter("".join(text.split()))


@pytest.mark.parametrize(("text", "wide"), [("abc", 3), ("環境", 4), ("e\u0301", 1), ("a\u200bb", 2), ("", 0)])
def test_columns_are_counted(text: str, wide: int) -> None:
    assert columns(text) == wide


@WIDTHS
def test_tables_fit(width: int) -> None:
    snapshots = [
        Snapshot("", name, 12_345_678, 1, 98_765_432_100, verdict, "", None, None, ())
        for name in NAMES
        for verdict in VERDICTS
    ]
    changes = [Changed(name, 9, 12_345_678, Counter(added=123_456, removed=7, changed=9_876)) for name in NAMES]
    rounds = [OpusRound("destroy again", "the same answer, nothing sent", name, well=True) for name in NAMES]
    for table in (snapshot_table(snapshots), change_table(changes), opus_table(rounds)):
        text = shown(table, width)
        assert too_wide(text, width) == []
        wanted = [*NAMES, *(VERDICTS if table.columns[-1].header == "verdict" else [])]
        assert all(letters(text) >= letters(one) for one in wanted), text
        assert "…" not in text


@WIDTHS
def test_bars_fit(width: int) -> None:
    console = Console(file=StringIO(), width=width)
    progress = night_progress(console)
    for title in ("enpower", "graph", "elements", "12,345 agents", "tables"):
        bar = progress.add_task(title, total=95, note="")
        progress.update(bar, completed=7, note="123,456,789 items")
    text = shown(progress.get_renderable(), width)
    assert too_wide(text, width) == []
    assert "…" not in text
    assert text.count("123,456,789") == text.count("7/95") == 5
