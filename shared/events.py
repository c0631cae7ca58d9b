"""Log events: a short name with fields, readable as text and kept as fields for whatever collects them."""

import logging


def log_event(logger: logging.Logger, event: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Log ``event``, as in ``slice.handed_over run=… dataset=…``.

    Args:
        event: What happened: the thing, a dot, and what became of it.
        fields: Never a secret; values with blanks or line breaks are quoted, so that one event is one line.
    """
    text = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
    logger.log(level, "%s%s", event, text, extra={"event": event, **fields}, stacklevel=2)


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
