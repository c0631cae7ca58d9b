"""The file in which a laptop keeps the app settings, for commands that are run there."""

import os
from argparse import ArgumentParser
from codecs import BOM_UTF8
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
        os.environ |= _LocalSettings.model_validate_json(file.read_bytes().removeprefix(BOM_UTF8)).Values
    except (OSError, ValidationError) as error:
        raise GiveUp(f"{file} cannot be used: {_reason(error)}") from error


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    fault = error.errors(include_url=False)[0]
    unread = fault["type"] == "json_invalid"
    return f"it is not JSON: {fault['ctx']['error']}" if unread else "it has no Values, or they are not all text"
