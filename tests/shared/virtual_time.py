"""An event loop in which time passes only while everybody sleeps, and then at once; threads are waited for."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from math import inf, nextafter
from typing import override

BEGIN = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


class _Jump(selectors.DefaultSelector):
    now = 0.0
    threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.threads_at_work and timeout != 0:
            return super().select()
        if timeout is None:
            raise AssertionError("everybody waits for somebody else")
        # After months, a step of the loop's own resolution is lost in rounding, and what is due would never come.
        self.now = max(self.now + timeout, nextafter(self.now, inf))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    @override
    def run_in_executor[T, *Ts](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jump.threads_at_work += 1
        future.add_done_callback(self._has_worked)
        return future

    def _has_worked(self, _: object) -> None:
        self._jump.threads_at_work -= 1


def run[T](simulation: Coroutine[None, None, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(simulation)


def clock() -> datetime:
    """The present instant of the running simulation."""
    return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())
