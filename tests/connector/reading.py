"""The connector as it lies in the repository, and how its parts are found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.connector.schemas import Schema

CONNECTOR = Path(__file__).parents[2] / "connector"
SWAGGER_FILE = CONNECTOR / "apiDefinition.swagger.json"
SWAGGER: Schema = json.loads(SWAGGER_FILE.read_text())
PROPERTIES: Schema = json.loads((CONNECTOR / "apiProperties.json").read_text())["properties"]

OPERATIONS: dict[str, Schema] = {
    operation["operationId"]: operation for path in SWAGGER["paths"].values() for operation in path.values()
}
PARAMETERS: dict[str, Schema] = {
    f"{name}.{parameter['name']}": parameter
    for name, operation in OPERATIONS.items()
    for parameter in operation["parameters"]
}
ANSWERS: dict[str, Schema] = {
    f"{name}.{status}": answer
    for name, operation in OPERATIONS.items()
    for status, answer in operation["responses"].items()
}


def resolved(schema: Schema) -> Schema:
    """A schema, or the definition it refers to."""
    if "$ref" not in schema:
        return schema
    found: Schema = SWAGGER["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    return found


def properties(schema: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    """Every property of a schema and of what lies in it, with its path."""
    for key, inner in resolved(schema).get("properties", {}).items():
        yield f"{name}.{key}", inner
        yield from properties(inner, f"{name}.{key}")
    if "items" in schema:
        yield from properties(schema["items"], f"{name}[]")


def objects(document: Any) -> Iterator[Schema]:  # noqa: ANN401 - JSON, as deep as it comes
    """Every object in a document."""
    yield from (node for node in _nodes(document) if isinstance(node, dict))


def texts(document: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    """Every text in a document that is a value."""
    yield from (node for node in _nodes(document) if isinstance(node, str))


def _nodes(document: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    yield document
    for inner in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _nodes(inner)


PROPERTIES_SHOWN: dict[str, Schema] = {
    path: schema for name, definition in SWAGGER["definitions"].items() for path, schema in properties(definition, name)
}
