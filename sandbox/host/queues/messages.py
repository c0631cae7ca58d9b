"""The texts in queue messages, and what a message tells a function. Pure."""

import base64
import json
from datetime import datetime
from typing import Final, Literal

from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage

type Encoding = Literal["base64", "none"]

BLANKS: Final = str.maketrans("", "", " \t\r\n")


def encode(text: str | bytes, encoding: Encoding) -> str:
    """Return what stands in the queue for this text."""
    raw = text.encode() if isinstance(text, str) else text
    return base64.b64encode(raw).decode() if encoding == "base64" else raw.decode()


def decode(content: str, encoding: Encoding) -> bytes:
    """Return what stands in the queue as ``content``; .NET passes over white space in base64.

    Raises:
        ValueError: it is not base64 though it should be.
    """
    return base64.b64decode(content.translate(BLANKS), validate=True) if encoding == "base64" else content.encode()


def metadata(message: QueueMessage) -> dict[str, Datum]:
    """Return the trigger metadata of a message, as JSON in the way of the .NET host."""
    values = {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "InsertionTime": _iso(message.inserted_on),
        "ExpirationTime": _iso(message.expires_on),
        "NextVisibleTime": _iso(message.next_visible_on),
        "PopReceipt": message.pop_receipt,
    }
    return {name: Datum(json.dumps(value), "json") for name, value in values.items()}


def texts(given: Datum) -> tuple[str | bytes, ...]:
    """Return the messages that a queue output was given: a text, bytes, a QueueMessage, or a list of these."""
    if given.type is None:
        return ()
    if given.type != "json":
        return (given.value,)
    value = json.loads(given.value)
    items = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, str) else item["body"] for item in items)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
