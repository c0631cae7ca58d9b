"""Two independent parsers, tree-sitter's and pycep's, take every Bicep file, and names lead somewhere."""

import re
from pathlib import Path

import pytest
from pycep import BicepParser

from tests.infra.bicep import FILES, INFRA, descend, parse, properties, read

# Neither parser knows .bicepparam: its assignments are read as those of variables.
PARAMETERS = re.sub(r"^using .*$", "", (INFRA / "main.bicepparam").read_text(), flags=re.MULTILINE)
SOURCES = {path.relative_to(INFRA).as_posix(): path.read_text() for path in FILES} | {
    "main.bicepparam": re.sub(r"^param ", "var ", PARAMETERS, flags=re.MULTILINE)
}


@pytest.fixture(scope="module")
def pycep() -> BicepParser:
    return BicepParser()


@pytest.mark.parametrize("name", SOURCES)
def test_tree_sitter_takes_it(name: str) -> None:
    bad = [node for node in descend(parse(SOURCES[name])) if node.is_error or node.is_missing]
    assert [(node.start_point, node.text) for node in bad] == []


@pytest.mark.parametrize("name", SOURCES)
def test_pycep_takes_it(pycep: BicepParser, name: str) -> None:
    assert pycep.parse(text=SOURCES[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_modules_are_files_here_and_get_all_their_parameters(path: Path) -> None:
    for module in read(path).of_kind("module").values():
        target = path.parent / module.title
        assert target in FILES
        given = next(node for node in descend(module.value) if node.type == "object")
        wanted = read(target).of_kind("param")
        assert {name for name, found in wanted.items() if found.default is None} <= (
            names := properties(properties(given)["params"]).keys()
        )
        assert names <= wanted.keys()


def test_every_module_is_used() -> None:
    used = {path.parent / module.title for path in FILES for module in read(path).of_kind("module").values()}
    assert used == set(FILES) - {INFRA / "main.bicep", INFRA / "modules/settings.bicep"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_everything_declared_is_used(path: Path) -> None:
    source = path.read_text()
    for kind in ("param", "var"):
        assert [name for name in read(path).of_kind(kind) if len(re.findall(rf"\b{name}\b", source)) < 2] == []
