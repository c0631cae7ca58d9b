"""Keeps secrets out of messages and logs: the one place that knows what a secret looks like."""

import base64
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, quote_plus, urlsplit

_NAMES = r"""
    (?:access|id|refresh|bearer|skip|continuation|next)?_?token
    | (?:client|app)?_?secret | (?:client)?_?assertion | password | passwd | pwd
    | (?:account|access|api|master|function|host|private|subscription|shared_?access)[_-]?key
    | shared_?access_?signature | sig
"""
_HEADERS = "authorization | (?:set-)?cookie | x-functions-key | x-identity-header | ocp-apim-subscription-key"
_SCHEMES = "(?:Basic|Bearer|SharedKey(?:Lite)?)"
_SECRETS = re.compile(
    rf"""
    (?P<url> \bhttps?://[^\s"'<>\\]+ )
    | (?P<query> \? ) [\w.~%$-]+ = [^\s"'<>\\]*
    | (?P<scheme> \bBearer\s+ | \bSharedKey(?:Lite)?\s+ ) [A-Za-z0-9._~+/=:-]+
    | (?P<header> (?<![a-z0-9]) (?: {_HEADERS} ) :\s* ) [^\r\n"']+
    | (?P<pair> (?<![a-z0-9]) (?: {_NAMES} | {_HEADERS} ) (?: \s*=\s* | \\*["']\s*[:=,]\s* | \s*:\s*(?=b?\\*["']) ) )
      (?: b?\\*"(?:[^"\\]|\\(?s:.)?)*"? | b?\\*'(?:[^'\\]|\\(?s:.)?)*'? | (?:{_SCHEMES}\s+)? [^\s"'&;,)\]}}]+ )
    | \beyJ[\w-]{{8,}}(?:\.[\w-]*)*
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?s:.*?)(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


_SHORTEST_SECRET = 8
"""Characters; a shorter value may be an ordinary word, and would take words out of every message."""

_MOST_VALUES = 64
_known: OrderedDict[str, tuple[str, ...]] = OrderedDict()


def register_secrets(*values: str | bytes | None) -> None:
    """Have these values replaced from now on wherever they stand, in whatever spelling, and whoever says them.

    Args:
        values: Secrets, tokens, assertions and keys in use. The newest 64 are known.
    """
    for value in values:
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if text and len(text) >= _SHORTEST_SECRET:
            _known[text] = _spellings(text)
            _known.move_to_end(text)
    while len(_known) > _MOST_VALUES:
        _known.popitem(last=False)


def _spellings(value: str) -> tuple[str, ...]:
    """Return how a value may stand in text (plain, JSON, URL, form, HTML, base64), the longest first."""
    encoded = base64.b64encode(value.encode())
    spellings = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        _lower_escapes(quote(value, safe="")),
        escape(value),
        encoded.decode(),
        encoded.decode().rstrip("="),
    }
    return tuple(sorted(spellings, key=len, reverse=True))


def _lower_escapes(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def without_values(text: str) -> str:
    """Return ``text`` with every registered value as ``***``."""
    for spellings in _known.values():
        for spelling in spellings:
            if spelling in text:
                text = text.replace(spelling, "***")
    return text


def bytes_without_values(data: bytes) -> bytes:
    """Return ``data`` with every registered value as ``***``; as it is where there is none."""
    for spellings in _known.values():
        for spelling in spellings:
            if (found := spelling.encode()) in data:
                data = data.replace(found, b"***")
    return data


def redacted(text: str) -> str:
    """``text`` with every token, secret, key, assertion and signature, and the query of every URL, as ``***``."""
    return _SECRETS.sub(_replacement, without_values(text))


_LOOKED_AT = 64 * 1024
_LONGEST_SECRET = 16 * 1024
"""What may have been cut in the middle where a long text is not looked at to its end."""


def bounded(text: str, length: int) -> str:
    """Return text that comes from outside: without secrets, and with at most ``length`` characters."""
    safe = redacted(text) if len(text) <= _LOOKED_AT else redacted(text[:_LOOKED_AT])[:-_LONGEST_SECRET]
    return safe if len(safe) <= length else f"{safe[: length - 1]}…"


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


_READ_FOR_AN_EXCERPT = 64 * 1024


def excerpt(body: bytes, *, length: int = 200) -> str:
    """Return the beginning of an answer as one line of at most ``length`` characters, without secrets."""
    text = bytes_without_values(body[:_READ_FOR_AN_EXCERPT]).decode(errors="replace")
    return " ".join(redacted(text[: 4 * length]).split())[:length]


def redact_logs() -> None:
    """See to it that no log record of this process holds a secret, whoever writes it and whatever handles it.

    The message, with its arguments, and the traceback are redacted when the record is made; fields given as ``extra``
    come later and are the business of ``shared.telemetry.events``.
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
