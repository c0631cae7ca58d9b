"""The files of the connector, and what belongs into them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.connector.properties import properties
from tools.connector.schemas import Schema
from tools.connector.swagger import swagger

_CONNECTOR = Path(__file__).parents[2] / "connector"

FILES: Mapping[Path, Callable[[], Schema]] = {
    _CONNECTOR / "apiDefinition.swagger.json": swagger,
    _CONNECTOR / "apiProperties.json": properties,
}


SOLUTION = _CONNECTOR / "AvePointInventoryAndOpus.zip"


def text(document: Schema) -> str:
    """Return a document as it is written: four spaces, as the coding standards for connectors want it."""
    return f"{json.dumps(document, indent=4, ensure_ascii=False)}\n"
