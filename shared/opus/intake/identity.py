"""What makes two calls the same call."""

import hashlib
import json

import msgspec


def operation_id(caller: str, kind: str, key: str) -> str:
    """Return the id of the one operation that ``caller`` can start with ``key``: 32 hexadecimal digits."""
    return fingerprint([caller, kind, key])[:32]


def fingerprint(value: object) -> str:
    """Return a hash of a JSON value that does not depend on the order of names or on blanks."""
    try:
        content = msgspec.json.encode(value, order="sorted")
    except OverflowError:  # a number beyond 64 bits, in a record that is refused
        content = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()
