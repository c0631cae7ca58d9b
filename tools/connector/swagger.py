"""``apiDefinition.swagger.json``: the functions as they are indexed, and the words for them."""

import re
from collections.abc import Iterator

from shared.version import VERSION
from tools.connector.actions import ACTIONS, OF_PROGRAMS, PATH, Action, Parameter
from tools.connector.definitions import DEFINITIONS
from tools.connector.properties import OWNER
from tools.connector.responses import responses
from tools.connector.routes import Route, routes
from tools.connector.schemas import Schema, title

_HINT = "To see it work, harvest a dataset twice."

HOST = "function-app.example.com"
"""Stands for the host name of the function app."""

CONTACT = "owner@example.com"
"""Stands for the address of who answers questions about the connector."""

KEY = "function_key"
ENTRA = "entra"
_LOGIN = "https://login.microsoftonline.com/organizations/oauth2/v2.0"

_INFO = {
    "title": "AvePoint Inventory and Opus",
    "description": (
        "Harvests AvePoint inventories into storage, submits records to AvePoint Opus, "
        "lists the records due for disposal, and marks records as destroyed."
    ),
    "version": VERSION,
    "contact": {"name": OWNER, "url": f"https://{HOST}", "email": CONTACT},
    "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
}
_METADATA = [
    {"propertyName": "Website", "propertyValue": "https://www.avepoint.com"},
    {"propertyName": "Privacy policy", "propertyValue": "https://www.avepoint.com/company/privacy-policy"},
    {"propertyName": "Categories", "propertyValue": "IT Operations;Content and Files"},
]


def swagger() -> Schema:
    """Return the whole document.

    Raises:
        LookupError: A function, or a parameter of a path, has no words.
    """
    return {
        "swagger": "2.0",
        "info": _INFO,
        "host": HOST,
        "basePath": "/api",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": _paths(),
        "definitions": dict(DEFINITIONS),
        "securityDefinitions": _security_definitions(),
        "security": [{KEY: []}, {ENTRA: []}],
        "x-ms-capabilities": {"testConnection": {"operationId": "ListRuns", "parameters": {"top": 1}}},
        "x-ms-connector-metadata": _METADATA,
    }


def _paths() -> Schema:
    indexed = {route.function: route for route in routes()}
    if differing := indexed.keys() ^ {*ACTIONS, *OF_PROGRAMS}:
        raise LookupError(f"only the app or only actions.py knows {', '.join(sorted(differing))}")
    paths: Schema = {}
    for function, action in ACTIONS.items():
        route = indexed[function]
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route, action)
    return paths


def _operation(route: Route, action: Action) -> Schema:
    return {
        "operationId": route.operation_id,
        "summary": action.summary,
        "description": action.description,
        **({"x-ms-visibility": action.visibility} if action.visibility else {}),
        **({"x-ms-pageable": {"nextLinkName": "nextLink"}} if action.pages else {}),
        **({"x-ms-trigger": "batch", "x-ms-trigger-hint": _HINT} if action.trigger else {}),
        **({"security": []} if route.anonymous else {}),
        "parameters": list(_parameters(route, action)),
        "responses": responses(action, anonymous=route.anonymous),
    }


def _parameters(route: Route, action: Action) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", route.path):
        encoded = {"required": True, "x-ms-visibility": "important", "x-ms-url-encoding": "single"}
        yield _parameter("path", PATH[name]) | encoded
    yield from (_parameter("query", one) for one in action.query)
    yield from (_parameter("header", one) for one in action.headers)
    if action.body:
        yield _body(action.body)


def _parameter(place: str, parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        **parameter.type,
        "x-ms-summary": parameter.summary,
        "description": parameter.description,
        "x-ms-visibility": parameter.visibility,
        **parameter.choices,
    }


def _body(definition: str) -> Schema:
    return {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": {"$ref": f"#/definitions/{definition}"},
        "x-ms-summary": title(definition),
        "description": "The content of the call.",
        "x-ms-visibility": "important",
    }


def _security_definitions() -> Schema:
    return {
        KEY: {"type": "apiKey", "in": "header", "name": "x-functions-key"},
        ENTRA: {
            "type": "oauth2",
            "flow": "accessCode",
            "authorizationUrl": f"{_LOGIN}/authorize",
            "tokenUrl": f"{_LOGIN}/token",
            "scopes": {},
        },
    }
