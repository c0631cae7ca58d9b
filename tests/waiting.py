"""Waiting for what happens on the other side of a socket."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable


async def until(condition: Callable[[], object], *, within: float = 60) -> None:
    """Ask until the condition, or what it awaits, is true, for at most so many seconds."""
    async with asyncio.timeout(within):
        while True:
            met = condition()
            if await met if isawaitable(met) else met:
                return
            await asyncio.sleep(0.01)
