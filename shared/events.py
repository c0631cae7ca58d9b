"""Log events: a short name with fields, readable as text, kept as fields for whatever collects them, and measured."""

import logging
from collections.abc import Mapping

from shared.redaction import redacted
from shared.telemetry import Value, record, surrounding_fields


def log_event(logger: logging.Logger, event: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Log ``event``, as in ``slice.handed_over run=… dataset=…``, and feed the instruments it has, whatever its level.

    Args:
        event: What happened: the thing, a dot, and what became of it.
        fields: Redacted; values with blanks or line breaks are quoted, so that one event is one line. The fields of
            the spans around the caller come first.
    """
    _log(logger, event, level, fields)


def log_failure(logger: logging.Logger, event: str, /, **fields: object) -> None:
    """Log ``event`` as an error, with the traceback of the exception that is being handled; else as ``log_event``."""
    _log(logger, event, logging.ERROR, fields, exc_info=True)


def _log(
    logger: logging.Logger, event: str, level: int, fields: Mapping[str, object], *, exc_info: bool = False
) -> None:
    safe = {**surrounding_fields(), **{name: _safe(value) for name, value in fields.items()}}
    record(event, safe)
    if logger.isEnabledFor(level):
        text = "".join(f" {name}={_shown(value)}" for name, value in safe.items())
        logger.log(level, "%s%s", event, text, exc_info=exc_info, extra={"event": event, **safe}, stacklevel=3)


def _safe(value: object) -> Value | None:
    """Numbers as they are, everything else as text without secrets: no log hook sees the fields of a record."""
    return value if isinstance(value, int | float | None) else redacted(str(value))


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
