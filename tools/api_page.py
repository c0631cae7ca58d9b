"""``docs/api.md``: every route, every field of what is sent and answered, and examples that a test carries out."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tools.arguments import no_options
from tools.connector.schemas import Schema
from tools.connector.swagger import swagger

PAGE = Path(__file__).parents[1] / "docs" / "api.md"

_EXAMPLES = Path(__file__).parent / "api_examples.json"
_HEAD = """# API

<!-- Written by `make docs` from the functions and tools/api_examples.json: change those, not this page. -->

All routes are below `https://{host}/api`. With `AUTH_MODE` = `key`, send a function key in the header
`x-functions-key`; with `entra`, send an access token. Errors have the form
`{"error": {"code", "message", "target", "details"}}`; [flows](flows.md#answers) lists the codes and what to do. Lists
have the form `{"value": […], "nextLink"}`: if there is a `nextLink`, there are more entries.
Times are RFC 3339 with `Z`.
[openapi.json](openapi.json) describes the same for programs, as OpenAPI 3.1. [From a program](from-a-program.md)
has examples in four languages. The [glossary](glossary.md) explains the terms.

A field with * is always present in an answer, and required in a request.
"""


class Example(NamedTuple):
    """One call, and its answer. ``{first}`` in a path is the id of the operation of the first example."""

    operation: str
    says: str
    path: str
    status: int
    response: object
    headers: Mapping[str, str]
    body: object


def examples() -> list[Example]:
    """Return the examples, in the order in which they are carried out."""
    return [
        Example(
            one["operation"],
            one["says"],
            one["path"],
            one["status"],
            one["response"],
            one.get("headers", {}),
            one.get("body"),
        )
        for one in json.loads(_EXAMPLES.read_text())
    ]


def api_page() -> str:
    """Return the page."""
    document = swagger()
    return "\n".join((_HEAD, *_routes(document), *_definitions(document)))


def _routes(document: Schema) -> Iterator[str]:
    yield "## Routes\n"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _route(f"{method.upper()} /api{path}", operation)


def _route(call: str, operation: Schema) -> Iterator[str]:
    yield f"### {operation['summary']}\n\n`{call}`\n\n{operation['description']}\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | meaning |\n|---|---|---|"
        for one in parameters:
            name = f"`{one['name']}`{'*' if one['required'] else ''}"
            body = f" {_link(one['schema'])}" if "schema" in one else ""
            yield f"| {name} | {one['in']} | {_cell(one['description'])}{body} |"
        yield ""
    yield "| status | meaning | body |\n|---|---|---|"
    for status, response in operation["responses"].items():
        yield f"| {status} | {_cell(response['description'])} | {_link(response.get('schema', {}))} |"
    yield ""
    for example in examples():
        if example.operation == operation["operationId"]:
            yield _shown(call.partition(" ")[0], example)


def _shown(method: str, example: Example) -> str:
    headers = "".join(f"\n{name}: {value}" for name, value in example.headers.items())
    body = f"\n\n{_json(example.body)}" if example.body is not None else ""
    path = example.path.replace("{first}", "0f6c2f3a0c8a4b7f9d1e5a6b7c8d9e0f")
    call = f"```http\n{method} /api{path}{headers}{body}\n```"
    return f"{example.says}\n\n{call}\n\nAnswers {example.status}:\n\n```json\n{_json(example.response)}\n```\n"


def _definitions(document: Schema) -> Iterator[str]:
    yield "## Bodies\n"
    for name, definition in document["definitions"].items():
        yield f"### {name}\n"
        if rows := list(_fields(definition, "")):
            yield "| field | type | meaning |\n|---|---|---|"
            yield from rows
        else:
            yield _cell(str(definition.get("description", "Any object.")))
        yield ""


def _fields(schema: Schema, prefix: str) -> Iterator[str]:
    """Yield a row for each field, those of objects and of entries in lists below their owner."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        place = f"{prefix}{name}"
        yield (
            f"| `{place}`{'*' if name in required else ''} | {_type(field)} "
            f"| {_cell(str(field.get('description', '')))} {_link(field)} |"
        )
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _fields(inner, f"{place}[]." if "items" in field else f"{place}.")


def _type(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "items" in field:
        return f"list of {_type(field['items'])}"
    kind = str(field.get("format", field.get("type", "object")))
    return {"int64": "whole number", "int32": "whole number", "date-time": "time", "string": "text"}.get(kind, kind)


def _link(schema: Schema) -> str:
    name = str(schema.get("$ref", schema.get("items", {}).get("$ref", ""))).rpartition("/")[2]
    return f"[{name}](#{name.lower()})" if name else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    no_options(__doc__)
    PAGE.write_text(api_page())
