"""Ends a command within seconds of Ctrl-C, whatever it is at; what it started is ended by those who started it."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """A signal asked for the end."""


async def until_stopped[T](work: Coroutine[None, None, T]) -> T:
    """Return what ``work`` returns; the first signal cancels it, and it cleans up undisturbed by later ones.

    Raises:
        StoppedError: it was cancelled by a signal, and has cleaned up.
    """
    task = asyncio.ensure_future(work)
    stopped = asyncio.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            task.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped.is_set():
            raise StoppedError from None
        raise
