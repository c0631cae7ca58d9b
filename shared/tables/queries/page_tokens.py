"""Tokens of next links: all that the next page needs, readable for everybody, changeable for nobody. Pure.

A query may have 3,000 bytes and a link 4,096, so what a token carries is compressed, and the signed statement beside it
holds only the digest of it: inside the statement it would grow by a third once more.
"""

import base64
import binascii
import hashlib
import zlib
from datetime import datetime

from pydantic import ValidationError

from shared.credentials.signing import BadStatement, Signer
from shared.document import Document

_DIGEST_BYTES = 16
"""Enough that nobody finds a second text of the same digest (NIST SP 800-107: half of 256 bits of SHA-256)."""


def issue_page_token(query: Document, signer: Signer, *, expires: datetime) -> str:
    """Return the token of the page that ``query`` asks for."""
    packed = zlib.compress(query.to_json(), level=9)
    statement = signer.sign({"q": _digest(packed)}, expires=expires)
    return f"{_text(packed)}.{statement}"


def read_page_token[Q: Document](token: str, model: type[Q], signer: Signer, *, now: datetime) -> Q:
    """Return the query that a token was issued for.

    Raises:
        BadStatement: It is not one of this app, was changed, or has expired.
    """
    text, _, statement = token.partition(".")
    claims = signer.read(statement, now=now)
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _text(packed) != text or claims.get("q") != _digest(packed):
            raise BadStatement("it was changed")
        return model.model_validate_json(zlib.decompress(packed))
    except (binascii.Error, ValueError, zlib.error, ValidationError) as error:
        raise BadStatement("it was changed, or comes from another version of this app") from error


def _digest(packed: bytes) -> str:
    return _text(hashlib.sha256(packed).digest()[:_DIGEST_BYTES])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
