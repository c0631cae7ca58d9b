"""The frame of the commands that look at what is stored: take the settings, find something out, tell it."""

import asyncio
import logging
import os
import signal
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import date
from typing import Never

from shared.errors import AppError
from shared.settings.local import use_local_settings

CANNOT_TELL = 2
"""The exit status of a command that could not find out what it was asked."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command has found: what it prints, and its exit status."""

    text: str
    status: int


def run_command(find: Callable[[Namespace], Coroutine[None, None, CommandResult]], args: Namespace) -> int:
    """Carry out a command that has an option ``--settings``, and print what it finds.

    Args:
        find: Finds it out; may raise any ``AppError``.

    Returns:
        The exit status: that of the result, or ``CANNOT_TELL`` where there is none.
    """
    logging.basicConfig(level=logging.CRITICAL)  # the result says what there is to say
    try:
        use_local_settings(args.settings)
        result = asyncio.run(find(args))
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return CANNOT_TELL
    say(result.text)
    return result.status


def read_day(text: str) -> date:
    """Read the value of an option that is a day.

    Raises:
        ArgumentTypeError: It is not one.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day: write it as YYYY-MM-DD, for example 2026-01-31") from None


def say(text: str) -> None:
    """Print a line of a result.

    Raises:
        SystemExit: The reader has gone, as ``| head`` has: the exit status is that of the signal.
    """
    try:
        print(text, flush=True)  # noqa: T201 - what a command is for
    except BrokenPipeError:
        end_unread()


def end_unread() -> Never:
    """End the process because the reader of its output has gone: nothing that is left is flushed at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(128 + signal.SIGPIPE)
