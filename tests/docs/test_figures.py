"""The figures of the pages can be drawn."""

import json
import re
import subprocess
from pathlib import Path

from sandbox.azurite import node
from sandbox.processes import ROOT
from tests.docs.fences import PAGES

FIGURE = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


def parsed(figures: dict[str, str]) -> dict[str, str | None]:
    """What mermaid says against each figure."""
    done = subprocess.run(  # noqa: S603 - our own program
        [str(node()), str(Path(__file__).with_name("mermaid.mjs"))],
        input=json.dumps(figures),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: dict[str, str | None] = json.loads(done.stdout)
    return answers


def test_every_figure_can_be_drawn() -> None:
    figures = {
        f"{page.relative_to(ROOT)}, figure {number}": figure
        for page in PAGES
        for number, figure in enumerate(FIGURE.findall(page.read_text()), start=1)
    }
    assert len(figures) >= 3
    assert {name: fault for name, fault in parsed(figures).items() if fault} == {}


def test_a_figure_that_cannot_be_drawn_is_noticed() -> None:
    assert parsed({"broken": "flowchart TD\n a[[ --> "})["broken"]
