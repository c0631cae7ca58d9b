"""Signed statements that fit into a URL: anybody can read them, and nobody can make or change one. Pure.

They are JSON Web Tokens (RFC 7519) under HMAC-SHA256. Every purpose has its own key, so a statement for one is worth
nothing for another; the keys are derived (HKDF, RFC 5869) from what only the app registration knows, so all instances
have them and none is stored. A new secret or certificate ends the statements that are out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import GiveUp

_ALGORITHM = "HS256"
_KEY_BYTES = 32


class BadStatement(GiveUp):
    """A statement is none of ours, was changed, or has expired."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and reads the statements of one purpose."""

    key: bytes = field(repr=False)

    @classmethod
    def for_purpose(cls, purpose: str, *, material: bytes) -> Self:
        """The signer of one purpose; ``material`` is what only the app registration knows."""
        return cls(HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose.encode()).derive(material))

    def sign(self, claims: Mapping[str, object], *, expires: datetime) -> str:
        """A statement that is good until ``expires``, in whole seconds."""
        return jwt.encode({**claims, "exp": int(expires.timestamp())}, self.key, _ALGORITHM)

    def read(self, statement: str, *, now: datetime) -> Mapping[str, object]:
        """What a statement says.

        Raises:
            BadStatement: It is not ours, or not good any more.
        """
        options: jwt.types.Options = {"require": ["exp"], "verify_exp": False}  # our own clock decides
        try:
            claims: Mapping[str, object] = jwt.decode(statement, self.key, [_ALGORITHM], options=options)
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise BadStatement("it is none of this app, or was changed") from error
        expires = claims["exp"]
        if not isinstance(expires, int) or expires <= now.timestamp():
            raise BadStatement("it has expired")
        return claims
