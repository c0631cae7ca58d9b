"""The files of the connector, and what belongs into them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.connector.properties import properties
from sandbox.connector.schemas import Schema
from sandbox.connector.swagger import swagger

_CONNECTOR = Path(__file__).parents[2] / "connector"

FILES: Mapping[Path, Callable[[], Schema]] = {
    _CONNECTOR / "apiDefinition.swagger.json": swagger,
    _CONNECTOR / "apiProperties.json": properties,
}


def text(document: Schema) -> str:
    """A document as it is written: four spaces, as the coding standards for connectors want it."""
    return f"{json.dumps(document, indent=4, ensure_ascii=False)}\n"
