"""Log events: a short name with fields, readable as text, kept as fields for whatever collects them, and measured."""

import logging
from collections.abc import Mapping

from shared.telemetry.spans import record, safe, surrounding_fields


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
    surroundings = surrounding_fields()
    record(event, {**surroundings, **fields})
    if logger.isEnabledFor(level):
        # No log hook sees the fields of a record: it is here that they are redacted.
        shown = {**surroundings, **{name: None if value is None else safe(value) for name, value in fields.items()}}
        text = "".join(f" {name}={_shown(value)}" for name, value in shown.items())
        logger.log(level, "%s%s", event, text, exc_info=exc_info, extra={"event": event, **shown}, stacklevel=3)


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
