"""The whole description for programs: OpenAPI 3.1, from the functions as they are indexed and their models."""

import json
from collections.abc import Sequence
from pathlib import Path

from shared.version import VERSION
from tools.connector.actions import ACTIONS, OF_PROGRAMS
from tools.connector.routes import routes
from tools.openapi.components import Schema, components
from tools.openapi.operations import KEY, SIGN_IN, TAGS, error_responses, operation

_ROOT = Path(__file__).parents[2]
FILES: Sequence[Path] = (_ROOT / "docs" / "openapi.json", _ROOT / "functions" / "openapi.json")


def openapi() -> Schema:
    """Return the document.

    Raises:
        LookupError: A function has no words.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AvePoint inventory and Opus",
            "description": "Harvests AvePoint inventories, gives their rows, and submits and destroys records in Opus.",
            "version": VERSION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {
                "url": "https://{host}/api",
                "variables": {
                    "host": {"default": "function-app.example.com", "description": "The host name of the app."}
                },
            }
        ],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "security": [{KEY: []}, {SIGN_IN: []}],
        "paths": _paths(),
        "components": {
            "schemas": components(),
            "responses": error_responses(),
            "securitySchemes": _security_schemes(),
        },
    }


def text(document: Schema) -> str:
    """Return a document as it is written."""
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"


def _paths() -> Schema:
    indexed = {route.function: route for route in routes()}
    paths: Schema = {}
    for function, action in {**ACTIONS, **OF_PROGRAMS}.items():
        route = indexed[function]
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = operation(route, action)
    return paths


def _security_schemes() -> Schema:
    return {
        KEY: {
            "type": "apiKey",
            "in": "header",
            "name": "x-functions-key",
            "description": "A function key, if AUTH_MODE is key.",
        },
        SIGN_IN: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of Microsoft Entra ID with an app role, if AUTH_MODE is entra.",
        },
    }
