"""Child processes of the sandbox: started with a log file, waited for by what they print, ended by pid."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[1]
POLL_SECONDS: Final = 0.02
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 35.0  # the host drains for up to 30


class ProcessError(Exception):
    """A child process ended too early or did not get ready in time; the message ends with what it printed."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running child process whose standard output and error go to one log file."""

    child: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(
        cls, *command: str | Path, log: Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
    ) -> Self:
        """Start ``command``; ``env`` is its whole environment (default: that of this process)."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=env,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which ends its children in order
            )
        return cls(child, log)

    @property
    def pid(self) -> int:
        return self.child.pid

    def output(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(errors="replace")

    async def printed(self, pattern: str, *, within: float = START_SECONDS) -> re.Match[str]:
        """Wait until a line matches ``pattern``.

        Raises:
            ProcessError: the process ended, or printed no such line within that many seconds.
        """
        try:
            async with asyncio.timeout(within):
                return await self._printed(re.compile(pattern, re.MULTILINE))
        except TimeoutError:
            raise ProcessError(f"{self._name} printed no {pattern!r} in {within:g} s:\n{self.output()}") from None

    async def _printed(self, pattern: re.Pattern[str]) -> re.Match[str]:
        while True:
            ended = self.child.returncode
            if match := pattern.search(self.output()):
                return match
            if ended is not None:
                raise ProcessError(f"{self._name} ended with status {ended}:\n{self.output()}")
            await asyncio.sleep(POLL_SECONDS)

    async def ended(self, *, within: float = STOP_SECONDS) -> int:
        """Wait for the end and return the exit status (negative: the signal).

        Raises:
            ProcessError: it still ran after that many seconds.
        """
        try:
            async with asyncio.timeout(within):
                return await self.child.wait()
        except TimeoutError:
            raise ProcessError(f"{self._name} still ran after {within:g} s:\n{self.output()}") from None

    async def stop(self, *, within: float = STOP_SECONDS) -> int:
        """Ask it to end (SIGTERM), make it end (SIGKILL) after ``within`` seconds; return the exit status."""
        self.signal(signal.SIGTERM)
        try:
            return await self.ended(within=within)
        except ProcessError:
            return await self.kill()
        except asyncio.CancelledError:  # nobody waits any more: nothing is left behind all the same
            await self.kill()
            raise

    async def kill(self) -> int:
        """End it at once (SIGKILL) and return the exit status."""
        self.signal(signal.SIGKILL)
        return await self.child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.child.returncode is None:
            self.child.send_signal(number)

    @property
    def _name(self) -> str:
        return f"process {self.pid} ({self.log.name})"


@asynccontextmanager
async def running(
    *command: str | Path,
    log: Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stop_seconds: float = STOP_SECONDS,
) -> AsyncIterator[Process]:
    """Provide a process that is stopped on leaving, and killed if it still runs ``stop_seconds`` later."""
    process = await Process.start(*command, log=log, cwd=cwd, env=env)
    try:
        yield process
    finally:
        await process.stop(within=stop_seconds)


def sandbox_command(*arguments: str | Path) -> tuple[str | Path, ...]:
    """Return the command line of ``python -m sandbox`` with these arguments; it needs ``cwd=ROOT``."""
    return (sys.executable, "-m", "sandbox", *arguments)


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
