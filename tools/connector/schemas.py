"""Models as schemas of Swagger 2.0, with the words that a person building a flow reads. Pure."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

type Schema = dict[str, Any]  # JSON, as deep as it comes

WORDS: Mapping[str, Mapping[str, str]] = tomllib.loads((Path(__file__).parent / "words.toml").read_text())
"""What each property means whose model does not say it: model to property to description."""

_KEPT = ("type", "format", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems")
_NULL = {"type": "null"}
_SPELLINGS = {"Id": "ID", "Ids": "IDs", "Url": "URL", "Sha256": "SHA-256"}


def answer(model: type[BaseModel]) -> Schema:
    """Return what the app answers: every property is there."""
    schema = model.model_json_schema(mode="serialization")
    return _object(model.__name__, schema, schema.get("$defs", {}), answered=True)


def body(model: type[BaseModel]) -> Schema:
    """Return what a caller sends: what must be there comes first, the rest is for the advanced."""
    schema = model.model_json_schema(mode="validation")
    return _object(model.__name__, schema, schema.get("$defs", {}), answered=False)


def listing(item: str, *, summary: str, pages: bool = False) -> Schema:
    """Return a list of the definition ``item``, page by page or all at once."""
    properties: Schema = {
        "value": {
            "type": "array",
            "items": {"$ref": f"#/definitions/{item}"},
            "x-ms-summary": summary,
            "description": _description("List", "value"),
        }
    }
    if pages:
        properties["nextLink"] = {
            "type": "string",
            "x-ms-summary": title("nextLink"),
            "description": _description("List", "nextLink"),
            "x-ms-visibility": "internal",
        }
    return {"type": "object", "required": ["value"], "properties": properties}


def either(one: Schema, other: Schema) -> Schema:
    """Return an answer that is ``one`` or ``other``: in Swagger 2.0 only what both have can be required."""
    if "items" in one:
        return one | {"items": either(one["items"], other["items"])}
    if "properties" not in one:
        return one
    ones, others = one["properties"], other["properties"]
    both = {name: either(ones[name], others[name]) for name in ones if name in others}
    return one | {"required": list(both), "properties": others | ones | both}


def title(name: str) -> str:
    """``opusConnectionId`` as ``Opus Connection ID``."""
    words = [word.capitalize() for word in re.findall(r"[A-Z]?[a-z0-9]+", name)]
    return " ".join(_SPELLINGS.get(word, word) for word in words)


def _object(owner: str, schema: Schema, known: Schema, *, answered: bool) -> Schema:
    raw, required = schema["properties"], schema.get("required", [])
    properties = {}
    for name, inner in raw.items():
        labels = {"x-ms-summary": title(name), "description": inner.get("description") or _description(owner, name)}
        if not answered:
            labels["x-ms-visibility"] = "important" if name in required else "advanced"
        properties[name] = _typed(inner, known, answered=answered) | labels
    closed = {"additionalProperties": False} if schema.get("additionalProperties") is False else {}
    return {"type": "object", "required": list(raw) if answered else required, "properties": properties} | closed


def _typed(schema: Schema, known: Schema, *, answered: bool) -> Schema:
    """Return a schema without references and alternatives; null is marked, and what may be anything is empty."""
    if "$ref" in schema:
        return _named(schema["$ref"].rpartition("/")[2], known, answered=answered)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != _NULL]
        nullable = {"x-nullable": True} if _NULL in schema["anyOf"] else {}
        return (_typed(options[0], known, answered=answered) if len(options) == 1 else {}) | nullable
    kept: Schema = {name: schema[name] for name in _KEPT if name in schema}
    if "items" in schema:
        kept["items"] = _typed(schema["items"], known, answered=answered)
    return kept | ({"format": "int64"} if kept.get("type") == "integer" else {})


def _named(name: str, known: Schema, *, answered: bool) -> Schema:
    if "properties" in known[name]:
        return _object(name, known[name], known, answered=answered)
    return _typed(known[name], known, answered=answered)


def _description(owner: str, name: str) -> str:
    try:
        return WORDS[owner][name]
    except KeyError:
        raise LookupError(f"{owner}.{name}: say in words.toml what it means") from None
