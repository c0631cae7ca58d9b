"""Keeps secrets out of messages and logs: the one place that knows what a secret looks like."""

import re
from urllib.parse import urlsplit

_SECRETS = re.compile(
    r"""
    (?P<bearer>\bBearer\s+)[A-Za-z0-9._~+/=-]+
    | (?P<jwt>\b)eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*
    | (?P<pair>["']?\b(?:access_token|id_token|refresh_token|client_secret|client_assertion|password|pwd|secret
        |AccountKey|SharedAccessSignature|x-functions-key|code|sig|sv|se|sp|skn|SharedAccessKey
        )["']?\s*[=:]\s*["']?)[^\s"'&;,}]+
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redacted(text: str) -> str:
    """``text`` with every token, secret, key, assertion and signature replaced by ``***``."""
    return _SECRETS.sub(lambda match: f"{match['bearer'] or match['pair'] or ''}***", text)


def redacted_url(url: str) -> str:
    """``url`` without user and query: continuation tokens and signatures travel in the query."""
    parts = urlsplit(url)
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def excerpt(body: bytes, *, length: int = 200) -> str:
    """The beginning of an answer as one line of at most ``length`` characters, without secrets."""
    text = body[: 4 * length].decode(errors="replace")
    return redacted(" ".join(text.split()))[:length]
