"""The file in which a laptop keeps the app settings, for commands that are run there."""

import os
from argparse import ArgumentParser
from pathlib import Path

from pydantic import BaseModel, ValidationError

from shared.errors import GiveUp


class _LocalSettings(BaseModel):
    """``local.settings.json``, as Azure Functions Core Tools have it."""

    Values: dict[str, str]


def add_settings_option(parser: ArgumentParser) -> None:
    """Let a command take ``--settings FILE``."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="a local.settings.json; its values go over the environment"
    )


def use_local_settings(file: Path | None) -> None:
    """Put the values of ``file``, if there is one, over the environment of this process.

    Raises:
        GiveUp: It cannot be used.
    """
    if file is None:
        return
    try:
        os.environ |= _LocalSettings.model_validate_json(file.read_bytes()).Values
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no Values, or they are not all text"
        raise GiveUp(f"{file} cannot be used: {reason}") from error
