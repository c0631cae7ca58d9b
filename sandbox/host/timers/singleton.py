"""The lock that lets one host of several run a timer, as ``SingletonListener`` of .NET does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from azure.core.exceptions import AzureError, HttpResponseError

from sandbox.host.waiting import wait

# Together: the lock of a killed host moves after 45 to 80 seconds; 43 to 81 were recorded.
LEASE_SECONDS: Final = 60
RENEW_SECONDS: Final = 15.0
RETRY_SECONDS: Final = 20.0
LOST: Final = frozenset({404, 409, 412})

logger = logging.getLogger(__name__)


class Lease(Protocol):
    """A lock that was taken; each call raises AzureError if it fails."""

    def renew(self) -> Awaitable[None]: ...

    def release(self) -> Awaitable[None]: ...


class Lock(Protocol):
    """What several hosts want."""

    async def acquire(self, seconds: int, /) -> Lease | None:
        """Take the lock; ``None`` while another host has it. Raises AzureError if that cannot be told."""


async def run_alone(lock: Lock, stop: asyncio.Event, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Do ``work`` whenever the lock is ours, until ``stop`` is set.

    Args:
        work: returns soon after its event is set, because the host stops or the lock is lost.
    """
    while not stop.is_set():
        lease = await _acquire(lock)
        if lease is None:
            await wait(stop, RETRY_SECONDS)
        else:
            await _work(lease, stop, work)


async def _acquire(lock: Lock) -> Lease | None:
    try:
        return await lock.acquire(LEASE_SECONDS)
    except AzureError as error:
        logger.warning("the lock of a timer cannot be asked for: %s", error)
        return None


async def _work(lease: Lease, stop: asyncio.Event, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    over = asyncio.Event()
    keeping = asyncio.create_task(_keep(lease, stop, over))
    try:
        await work(over)
    finally:
        keeping.cancel()
    try:
        await lease.release()
    except AzureError as error:
        logger.warning("the lock of a timer was not given back: %s", error)


async def _keep(lease: Lease, stop: asyncio.Event, over: asyncio.Event) -> None:
    while not await wait(stop, RENEW_SECONDS):
        try:
            await lease.renew()
        except AzureError as error:
            logger.warning("the lock of a timer was not renewed: %s", error)
            if isinstance(error, HttpResponseError) and error.status_code in LOST:
                break
    over.set()
