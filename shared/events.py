"""Log events: a short name with fields, readable as text and kept as fields for whatever collects them."""

import logging

from shared.redaction import redacted


def log_event(logger: logging.Logger, event: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Log ``event``, as in ``slice.handed_over run=… dataset=…``.

    Args:
        event: What happened: the thing, a dot, and what became of it.
        fields: Redacted; values with blanks or line breaks are quoted, so that one event is one line.
    """
    safe = {name: _safe(value) for name, value in fields.items()}
    text = "".join(f" {name}={_shown(value)}" for name, value in safe.items())
    logger.log(level, "%s%s", event, text, extra={"event": event, **safe}, stacklevel=2)


def _safe(value: object) -> object:
    """Numbers as they are, everything else as text without secrets: no log hook sees the fields of a record."""
    return value if isinstance(value, int | float | None) else redacted(str(value))


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
