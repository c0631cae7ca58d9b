"""What the templates come to, as the compiler writes it down.

A value that only Azure knows, such as the client id of an identity, is the expression by which it is asked for.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

type Value = str | int | bool | list[Value] | dict[str, Value] | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it would be deployed, under its full type and name."""

    id: str
    type: str
    name: str
    body: dict[str, Value]

    def at(self, path: str) -> Value:
        """Return the value at a dotted path below ``properties``, or ``None``."""
        return at(self.body, f"properties.{path}")

    @property
    def scope(self) -> str:
        """The id of the resource that this one extends, or its own where it extends none."""
        expression = re.match(r"\[extensionResourceId\('([^']+)'", self.id)
        return expression[1] if expression else re.split(r"/providers/Microsoft\.(Authorization|Insights)/", self.id)[0]


class Snapshot:
    """Everything that would be deployed, with the outputs."""

    def __init__(self, document: dict[str, Value]) -> None:
        found = [cast("dict[str, Value]", resource) for resource in items(document["predictedResources"])]
        self.document = document | {"predictedResources": sorted(found, key=lambda resource: str(resource["id"]))}
        self.resources = [
            Resource(str(body["id"]), str(body["type"]), str(body["name"]), body)
            for body in cast("list[dict[str, Value]]", self.document["predictedResources"])
        ]
        self.outputs = cast("dict[str, Value]", document["outputs"])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a snapshot that is committed."""
        return cls(json.loads(path.read_text()))

    @property
    def text(self) -> str:
        """The snapshot as it is committed: in an order of its own, for the compiler's changes."""
        return json.dumps(self.document, indent=2, sort_keys=True) + "\n"

    def of_type(self, name: str) -> list[Resource]:
        """Return the resources of a type."""
        return [resource for resource in self.resources if resource.type == name]

    def one(self, kind: str) -> Resource:
        """Return the only resource of a type."""
        (found,) = self.of_type(kind)
        return found

    def named(self, name: str) -> Resource:
        """Return the first resource of a name."""
        return next(resource for resource in self.resources if resource.name == name)


def at(value: Value, path: str) -> Value:
    """Return the value at a dotted path, or ``None``."""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def items(value: Value) -> list[Value]:
    """Return the items of an array."""
    assert isinstance(value, list), f"{value!r} is not an array"
    return value
