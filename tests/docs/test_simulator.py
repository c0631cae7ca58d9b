"""docs/simulator.md has every rule, setting and route of the simulated AvePoint, and no other."""

import json
import re
from typing import get_args

from pydantic.alias_generators import to_camel

from sandbox.avepoint import AvePoint, Settings
from sandbox.avepoint.catalog import EndMarker, LinkShape
from sandbox.avepoint.control import Control
from sandbox.avepoint.faults import Failure, Rule
from sandbox.avepoint.settings import KeyCase, Oddity
from sandbox.processes import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text()


def _named(heading: str) -> list[str]:
    """Return the names in the first column of the table below a heading."""
    section = PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_rule_is_on_it() -> None:
    assert sorted(_named("Rules")) == sorted(map(to_camel, Rule.model_fields))


def test_every_setting_is_on_it() -> None:
    assert sorted(_named("Settings")) == sorted(map(to_camel, Settings.model_fields))


def test_every_route_is_on_it() -> None:
    routes = {
        f"{method} {route.path.replace('{resource}', '{list}')}"
        for route in Control(AvePoint()).routes()
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert set(_named("Control it")) == routes


def test_every_value_to_choose_is_on_it() -> None:
    settings = PAGE.split("\n## Settings", 1)[1]
    choices = [value for kind in (EndMarker, LinkShape, KeyCase, Oddity) for value in get_args(kind)]

    assert [value for value in choices if f"`{value}`" not in settings] == []
    assert all(f"`{name}`" in PAGE for name in Failure.model_fields)


def test_its_examples_are_understood() -> None:
    avepoint = AvePoint()
    for example in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        changes = json.loads(example)
        rules = [Rule.model_validate(rule) for rule in changes.pop("rules", [])]
        avepoint.faults.add(rules)
        avepoint.change(changes)
