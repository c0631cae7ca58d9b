"""What Bicep files come to when they are deployed: as much of the language as infra/ speaks.

A value that only Azure knows, such as the client id of an identity, is the path by which it was asked for.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from tree_sitter import Node

from tests.infra.bicep import INFRA, Declaration, File, declarations, parse, parts, properties, read, text

type Value = str | int | bool | list[Value] | dict[str, Value] | None
type Local = Mapping[str, Value]
"""The variables of loops and lambdas around an expression."""

_ESCAPES = {r"\n": "\n", r"\'": "'", r"\\": "\\", r"\$": "$"}


class Unknown(str):
    """What only Azure knows, as the path by which it was asked for."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it would be deployed, under its full type and name."""

    type: str
    version: str
    name: str
    body: dict[str, Value]

    def at(self, path: str) -> Value:
        """The value at a dotted path below ``properties``, or ``None``."""
        return at(self.body, f"properties.{path}")


def deploy(arguments: Local) -> "Deployment":
    """What infra/main.bicep comes to with these parameters."""
    return Deployment(read(INFRA / "main.bicep"), arguments)


def parameters(path: Path, environ: Mapping[str, str]) -> dict[str, Value]:
    """The parameters that a .bicepparam file gives in an environment: its assignments, read as those of variables."""
    source = re.sub(r"^using .*$", "", path.read_text(), flags=re.MULTILINE)
    names = re.findall(r"^param (\w+)", source, re.MULTILINE)
    file = File(path, re.sub(r"^param ", "var ", source, flags=re.MULTILINE))
    return {name: Deployment(file, {}, environ).evaluate(file.symbol(name).value) for name in names}


def at(value: Value, path: str) -> Value:
    """The value at a dotted path, or ``None``."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def items(value: Value) -> list[Value]:
    """The items of an array."""
    assert isinstance(value, list), f"{value!r} is no array"
    return value


class Deployment:
    """A file with its parameters given: what it deploys, with what its modules deploy, and its outputs."""

    def __init__(self, file: File, arguments: Local, environ: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._arguments = arguments
        self._environ = environ or {}
        self._values: dict[str, Value] = {}
        self.resources: list[Resource] = []
        unknown = arguments.keys() - self._file.of_kind("param").keys()
        assert not unknown, f"{file.path} has no {unknown}"
        for kind in ("param", "resource", "module"):
            for name in self._file.of_kind(kind):
                self._symbol(name)
        self.outputs = {name: self.evaluate(found.value) for name, found in self._file.of_kind("output").items()}

    def of_type(self, name: str) -> list[Resource]:
        """The resources of a type."""
        return [resource for resource in self.resources if resource.type == name]

    def one(self, kind: str) -> Resource:
        """The only resource of a type."""
        (found,) = self.of_type(kind)
        return found

    def named(self, name: str) -> Resource:
        """The first resource of a name."""
        return next(resource for resource in self.resources if resource.name == name)

    def _symbol(self, name: str) -> Value:
        if name not in self._values:
            self._values[name] = self._declared(self._file.symbol(name))
        return self._values[name]

    def _declared(self, found: Declaration) -> Value:
        match found.kind:
            case "param":
                return self._parameter(found)
            case "resource":
                return self._each(found.value, {}, lambda body, local: self._resource(found, body, local))
            case "module":
                return self._each(found.value, {}, lambda body, local: self._module(found, body, local))
        return self.evaluate(found.value)

    def _parameter(self, found: Declaration) -> Value:
        given = self._arguments[found.name] if found.name in self._arguments else self.evaluate(found.value)
        for allowed in found.decorators.get("allowed", []):
            assert given in items(self.evaluate(allowed)), f"{found.name} may not be {given!r}"
        return given

    def _each(self, node: Node, local: Local, make: Callable[[Node, Local], Value]) -> Value:
        """Make what a body says: once, for each item of a loop, or not at all."""
        match node.type:
            case "if_statement":
                condition, body = parts(node)
                return self._each(body, local, make) if self.evaluate(condition, local) else None
            case "for_statement":
                head, over, body = parts(node)
                names = [text(name) for name in parts(head)] or [text(head)]
                turns = enumerate(items(self.evaluate(over, local)))
                locals_ = [{**local, **dict(zip(names, (item, i), strict=False))} for i, item in turns]
                return [self._each(body, turn, make) for turn in locals_]
        return make(node, local)

    def _resource(self, found: Declaration, body: Node, local: Local, outer: Resource | None = None) -> Value:
        kind, _, version = found.title.partition("@")
        values = self._object(body, local)
        name = str(values["name"])
        if outer:
            kind, version, name = f"{outer.type}/{kind}", version or outer.version, f"{outer.name}/{name}"
        elif parent := values.get("parent"):
            name = f"{at(parent, 'fullName')}/{name}"
        resource = Resource(kind, version, name, values)
        if not found.existing:
            self.resources.append(resource)
        return self._reference(resource) | self._nested(resource, body, local)

    def _reference(self, resource: Resource) -> dict[str, Value]:
        identity = f"{resource.type}/{resource.name}"
        asked: dict[str, Value] = {name: Unknown(f"{identity}.{name}") for name in ("properties", "identity")}
        return {"id": Unknown(identity), "name": resource.body["name"], "fullName": resource.name, **asked}

    def _nested(self, outer: Resource, body: Node, local: Local) -> dict[str, Value]:
        """The resources inside another one; siblings are named for their order only, so any value will do."""
        inner = [found for node in body.named_children for found in declarations(node)]
        around = {**local, **dict.fromkeys(found.name for found in inner)}
        return {f"::{found.name}": self._resource(found, found.value, around, outer) for found in inner}

    def _module(self, found: Declaration, body: Node, local: Local) -> Value:
        arguments = cast("Local", self._object(body, local)["params"])
        module = Deployment(read(self._file.path.parent / found.title), arguments)
        self.resources += module.resources
        return {"outputs": module.outputs}

    def evaluate(self, node: Node, local: Local | None = None) -> Value:
        """What an expression comes to."""
        assert node.type in self._evaluators, f"{node.type} is not understood: {text(node)}"
        return self._evaluators[node.type](self, node, local or {})

    def _inside(self, node: Node, local: Local) -> Value:
        return self.evaluate(parts(node)[0], local)

    def _array(self, node: Node, local: Local) -> Value:
        return [self.evaluate(part, local) for part in parts(node)]

    def _loop(self, node: Node, local: Local) -> Value:
        return self._each(node, local, self.evaluate)

    def _literal(self, node: Node, _: Local) -> Value:
        return cast("Value", json.loads(text(node)))

    def _string(self, node: Node, local: Local) -> str:
        pieces = [
            self.evaluate(parts(part)[0], local)
            if part.type == "interpolation"
            else _ESCAPES.get(text(part), text(part))
            for part in parts(node)
        ]
        whole = "".join(map(str, pieces))
        return Unknown(whole) if any(isinstance(piece, Unknown) for piece in pieces) else whole

    def _object(self, node: Node, local: Local) -> dict[str, Value]:
        return {self._key(name, local): self.evaluate(value, local) for name, value in properties(node).items()}

    def _key(self, name: str, local: Local) -> str:
        return str(self.evaluate(_expression(f"'{name}'"), local))

    def _name(self, node: Node, local: Local) -> Value:
        return local[text(node)] if text(node) in local else self._symbol(text(node))

    def _ternary(self, node: Node, local: Local) -> Value:
        condition, yes, no = parts(node)
        return self.evaluate(yes if self.evaluate(condition, local) else no, local)

    def _binary(self, node: Node, local: Local) -> Value:
        left, right = parts(node)
        return _OPERATORS[text(node.children[1])](self.evaluate(left, local), self.evaluate(right, local))

    def _call(self, node: Node, local: Local) -> Value:
        name = text(parts(node)[0]).removeprefix("az.")
        arguments = [self._argument(argument, local) for argument in parts(parts(node)[1])]
        match name:
            case "loadTextContent":
                return self._content(arguments[0])
            case "loadJsonContent":
                return cast("Value", json.loads(self._content(arguments[0])))
            case "readEnvironmentVariable":
                return self._variable(*map(str, arguments))
        return _FUNCTIONS[name](*arguments)

    def _variable(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, default)
        assert value is not None, f"{name} is not set"
        return value

    def _content(self, path: object) -> str:
        return (self._file.path.parent / str(path)).read_text()

    def _argument(self, node: Node, local: Local) -> Value | Callable[[Value], Value]:
        """An argument; the grammar takes ``x => x.y`` for ``(x => x).y``, so a lambda is known by its text."""
        name, arrow, body = text(node).partition(" => ")
        if not (arrow and name.isidentifier()):
            return self.evaluate(node, local)
        tree = _expression(body)
        return lambda value: self.evaluate(tree, {**local, name: value})

    def _member(self, node: Node, local: Local) -> Value:
        whole, name = parts(node)
        return _of(self.evaluate(whole, local), text(name))

    def _index(self, node: Node, local: Local) -> Value:
        whole, index = parts(node)
        return _of(self.evaluate(whole, local), self.evaluate(index, local))

    def _inner(self, node: Node, local: Local) -> Value:
        whole, name = parts(node)
        return _of(self.evaluate(whole, local), f"::{text(name)}")

    def _not(self, node: Node, local: Local) -> Value:
        return not self._inside(node, local)

    _evaluators: ClassVar[dict[str, "Callable[[Deployment, Node, Local], Value]"]] = {
        "array": _array,
        "binary_expression": _binary,
        "boolean": _literal,
        "call_expression": _call,
        "for_statement": _loop,
        "identifier": _name,
        "member_expression": _member,
        "null": _literal,
        "number": _literal,
        "object": _object,
        "parenthesized_expression": _inside,
        "resource_expression": _inner,
        "string": _string,
        "subscript_expression": _index,
        "ternary_expression": _ternary,
        "unary_expression": _not,
    }


def _expression(source: str) -> Node:
    return parts(parse(f"var x = {source}").children[0])[1]


_OPERATORS: dict[str, Callable[..., Value]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "+": lambda left, right: left + right,
    "&&": lambda left, right: left and right,
}


def _of(value: Value, key: Value) -> Value:
    match value:
        case Unknown():
            return Unknown(f"{value}.{key}")
        case list():
            return value[cast("int", key)]
        case dict():
            return value[str(key)]
    raise AssertionError(f"{value!r} has no {key}")


def _asked(name: str) -> Callable[..., Value]:
    return lambda *arguments: Unknown(f"{name}({', '.join(map(str, arguments))})")


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "bool": lambda value: str(value).lower() == "true",
    "cidrSubnet": _asked("cidrSubnet"),
    "concat": lambda *lists: [item for each in lists for item in each],
    "dateTimeToEpoch": _asked("dateTimeToEpoch"),
    "empty": lambda value: not value,
    "environment": lambda: {
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    },
    "filter": lambda values, keep: [value for value in values if keep(value)],
    "guid": _asked("guid"),
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "map": lambda values, change: [change(value) for value in values],
    "resourceId": lambda kind, name: Unknown(f"{kind}/{name}"),
    "split": lambda value, separator: value.split(separator),
    "string": lambda value: str(value) if isinstance(value, str | bool) else json.dumps(value),
    "subscription": lambda: {"id": Unknown("subscription")},
    "subscriptionResourceId": lambda kind, name: f"{kind}/{name}",
    "take": lambda value, count: value[:count],
    "tenant": lambda: {"tenantId": Unknown("tenant")},
    "toObject": lambda values, key, value: {key(each): value(each) for each in values},
    "union": lambda first, second: {**first, **second},
    "uniqueString": lambda *_: "abcdefghijklm",
    "utcNow": lambda _: "2026-01-01",
}
