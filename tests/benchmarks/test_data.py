import json
import re

from isal import igzip

from benchmarks.data import RESOURCE, items
from sandbox.avepoint import AvePoint


def test_items_have_every_documented_field() -> None:
    documented = json.loads(AvePoint().item(RESOURCE, 0))
    assert all(json.loads(item).keys() == documented.keys() for item in items(3, seed=1))


def test_items_are_as_large_and_as_varied_as_real_ones() -> None:
    lines = b"\n".join(items(200, seed=1))
    assert 2900 < len(lines) / 200 < 3100
    assert 4.5 < len(lines) / len(igzip.compress(lines, 2)) < 6


def test_every_item_has_an_id_of_its_own_and_the_same_seed_gives_the_same_items() -> None:
    made = list(items(200, seed=1))
    assert made == list(items(200, seed=1))
    assert len({re.findall(rb'"id":"([^"]+)"', item)[0] for item in made}) == 200
