"""What makes two calls the same call."""

import hashlib

import msgspec


def operation_id(caller: str, kind: str, key: str) -> str:
    """The id of the one operation that ``caller`` can start with ``key``: 32 hexadecimal digits."""
    return fingerprint([caller, kind, key])[:32]


def fingerprint(value: object) -> str:
    """A hash of a JSON value that does not depend on the order of names or on blanks."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
