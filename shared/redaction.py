"""Keeps secrets out of messages and logs: the one place that knows what a secret looks like."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAMES = r"""
    (?:access|id|refresh|bearer|skip|continuation)?_?token
    | client_secret | client_assertion | assertion | secret | password | pwd
    | (?:account|access|api|master|function|host|subscription|shared_?access)[_-]?key | shared_?access_?signature
    | sig
"""
_HEADERS = "authorization | (?:set-)?cookie | x-functions-key | x-identity-header | ocp-apim-subscription-key"
_SECRETS = re.compile(
    rf"""
    (?P<url> \bhttps?://[^\s"'<>\\]+ )
    | (?P<query> \? ) [\w.~%$-]+ = [^\s"'<>\\]*
    | (?P<scheme> \bBearer\s+ | \bSharedKey(?:Lite)?\s+ ) [A-Za-z0-9._~+/=:-]+
    | (?P<header> (?<![a-z0-9]) (?: {_HEADERS} ) :\s* ) [^\r\n"']+
    | (?P<pair> (?<![a-z0-9]) (?: {_NAMES} | {_HEADERS} ) (?: \s*=\s* | \\*["']\s*[:=,]\s* | \s*:\s*(?=b?\\*["']) ) )
      (?: b?\\*"(?:[^"\\]|\\(?s:.)?)*"? | b?\\*'(?:[^'\\]|\\(?s:.)?)*'? | [^\s"'&;,)\]}}]+ )
    | \beyJ[\w-]{{8,}}(?:\.[\w-]*)*
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?s:.*?)(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


def redacted(text: str) -> str:
    """``text`` with every token, secret, key, assertion and signature, and the query of every URL, as ``***``."""
    return _SECRETS.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    if url := match["url"]:
        return redacted_url(url)
    return f"{match['query'] or match['scheme'] or match['header'] or match['pair'] or ''}***"


def redacted_url(url: str) -> str:
    """``url`` without user, query and fragment: continuation tokens, keys and signatures travel there."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def excerpt(body: bytes, *, length: int = 200) -> str:
    """The beginning of an answer as one line of at most ``length`` characters, without secrets."""
    text = body[: 4 * length].decode(errors="replace")
    return " ".join(redacted(text).split())[:length]


def redact_logs() -> None:
    """See to it that no log record of this process holds a secret, whoever writes it and whatever handles it.

    The message, with its arguments, and the traceback are redacted when the record is made; fields given as ``extra``
    come later and are the business of ``shared.events``.
    """
    make = logging.getLogRecordFactory()
    if not isinstance(make, _RedactedRecords):
        logging.setLogRecordFactory(_RedactedRecords(make))


@dataclass(frozen=True, slots=True)
class _RedactedRecords:
    make: Callable[..., logging.LogRecord]

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self.make(*args, **kwargs)
        text = _message(record)
        if (safe := redacted(text)) != text:
            record.msg, record.args = safe, ()
        if record.exc_info:
            record.exc_text, record.exc_info = redacted(_FORMATTER.formatException(record.exc_info)), None
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return record


_FORMATTER = logging.Formatter()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments may be anything, and a log line must not end the work it tells of
        record.msg, record.args = f"{record.msg} (its arguments do not fit)", ()
        return record.getMessage()
