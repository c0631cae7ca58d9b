"""The same asynchronous work for many things, a bounded number at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

_AT_ONCE = 8
"""How many reads of storage one caller has under way, unless it has a reason for another number."""


async def bounded_map[T, R](
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int = _AT_ONCE
) -> list[R]:
    """Return what ``work`` gives for each item, in the order of the items.

    Raises:
        Exception: What the first failing ``work`` raises, as it is: no group of errors.
    """
    places = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    return await asyncio.gather(*map(one, items))
