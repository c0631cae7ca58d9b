"""Signed statements that fit into a URL: anybody can read them, and nobody can make or change one. Pure.

They are JSON Web Tokens (RFC 7519) under HMAC-SHA256. Every purpose has its own key, so a statement for one is worth
nothing for another; the keys are derived (HKDF, RFC 5869) from what only this app knows (``shared.azure.signing_key``).
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.utils import base64url_decode, base64url_encode

from shared.errors import GiveUp

_ALGORITHM = "HS256"
_KEY_BYTES = 32


class BadStatement(GiveUp):
    """A statement is not from this app, was changed, or has expired."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and reads the statements of one purpose."""

    key: bytes = field(repr=False)

    @classmethod
    def for_purpose(cls, purpose: str, *, key_material: bytes) -> Self:
        """Return the signer of one purpose; ``material`` is what only this app knows."""
        return cls(HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose.encode()).derive(key_material))

    def sign(self, claims: Mapping[str, object], *, expires: datetime) -> str:
        """Return a statement that is good until ``expires``, in whole seconds."""
        return jwt.encode({**claims, "exp": int(expires.timestamp())}, self.key, _ALGORITHM)

    def read(self, statement: str, *, now: datetime) -> Mapping[str, object]:
        """Return what a statement says.

        Raises:
            BadStatement: It is not ours, or not good any more.
        """
        if not _is_canonical(statement.rpartition(".")[2]):
            raise BadStatement("it was changed")
        options: jwt.types.Options = {"require": ["exp"], "verify_exp": False}  # our own clock decides
        try:
            claims: Mapping[str, object] = jwt.decode(statement, self.key, [_ALGORITHM], options=options)
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise BadStatement("it is not from this app, or was changed") from error
        expires = claims["exp"]
        if not isinstance(expires, int) or expires <= now.timestamp():
            raise BadStatement("it has expired")
        return claims


def _is_canonical(signature: str) -> bool:
    """Whether a signature is spelt as RFC 4648 (3.5) has it, which leaves the last bits of its last letter unused."""
    try:
        return base64url_encode(base64url_decode(signature)).decode() == signature
    except (binascii.Error, UnicodeError):
        return False
