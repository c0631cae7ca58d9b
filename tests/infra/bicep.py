"""Bicep files as syntax trees, and what they declare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "type_declaration": "type",
}


def parse(source: str) -> Node:
    """The syntax tree of Bicep source."""
    return _PARSER.parse(source.encode()).root_node


def text(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode()


def descend(node: Node) -> Iterator[Node]:
    """A node and all nodes below it."""
    yield node
    for child in node.children:
        yield from descend(child)


def parts(node: Node) -> list[Node]:
    """The children of a node that mean something."""
    return [child for child in node.named_children if child.type != "comment"]


def properties(node: Node) -> dict[str, Node]:
    """The properties of an object by name; resources nested in it are none."""
    pairs = [parts(child) for child in node.named_children if child.type == "object_property"]
    return {text(pair[0]).strip("'"): pair[1] for pair in pairs if len(pair) > 1}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared ``param``, ``var``, ``resource``, ``module``, ``output`` or ``type``.

    Attributes:
        decorators: Their arguments, by name.
    """

    kind: str
    name: str
    node: Node
    decorators: Mapping[str, list[Node]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The string between the name of a resource or module and the equals sign: its type, or its file."""
        return next(text(child).strip("'") for child in self.node.children if child.type == "string")

    @property
    def type(self) -> str:
        """The type of a parameter or output."""
        return next(text(child) for child in self.node.children if child.type == "type")

    @property
    def default(self) -> Node | None:
        """What stands behind the equals sign, where there is one."""
        return self.node.children[-1] if any(child.type == "=" for child in self.node.children) else None

    @property
    def value(self) -> Node:
        """What stands behind the equals sign, which there is."""
        assert self.default is not None, f"{self.name} has no value"
        return self.default

    @property
    def existing(self) -> bool:
        """Whether a resource is referred to and not deployed."""
        return any(child.type == "existing" for child in self.node.children)


def declarations(parent: Node) -> Iterator[Declaration]:
    """What is declared directly below a node."""
    decorators: dict[str, list[Node]] = {}
    for node in parent.children:
        if node.type == "decorators":
            calls = [parts(child)[0] for child in node.children]
            decorators = {text(parts(call)[0]): parts(parts(call)[1]) for call in calls}
        elif node.type in _KINDS:
            name = next(text(child) for child in node.children if child.type == "identifier")
            yield Declaration(_KINDS[node.type], name, node, decorators)
            decorators = {}


class File:
    """A Bicep file and what it declares."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.root = parse(source)
        self._declarations = {(found.kind, found.name): found for found in declarations(self.root)}

    def of_kind(self, kind: str) -> dict[str, Declaration]:
        """The declarations of a kind, by name."""
        return {name: found for (of, name), found in self._declarations.items() if of == kind}

    def symbol(self, name: str) -> Declaration:
        """What an expression means by ``name``."""
        kinds = ("param", "var", "resource", "module")
        return next(self._declarations[kind, name] for kind in kinds if (kind, name) in self._declarations)


@cache
def read(path: Path) -> File:
    """The Bicep file at ``path``."""
    return File(path, path.read_text())
