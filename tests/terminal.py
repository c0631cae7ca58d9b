"""A pseudo-terminal, as a user sits at one: so many columns, with colours or without, and keys to press."""

import asyncio
import os
import re
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from typing import Final
from unicodedata import category, east_asian_width

from sandbox.processes import ROOT, STOP_SECONDS

CTRL_C: Final = "\x03"
FIRST_OPENED: Final = 'exec 0<>"$0" 1>&0 2>&0; exec "$@"'
"""The first terminal that a new session opens is the one whose Ctrl-C reaches it."""


@dataclass
class Terminal:
    """A command at work on a pseudo-terminal."""

    child: asyncio.subprocess.Process
    descriptor: int
    written: bytearray = field(default_factory=bytearray)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def output(self) -> str:
        """All that was written so far, as it was written."""
        return self.written.decode(errors="replace").replace("\r\n", "\n")

    @property
    def shown(self) -> str:
        """All that was written so far, without what moves the cursor or gives colours."""
        return without_controls(self.output)

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    async def shows(self, pattern: str, *, within: float) -> None:
        """Wait until a line matches."""
        async with asyncio.timeout(within):
            while not re.search(pattern, self.shown, re.MULTILINE):
                assert not self.closed.is_set(), self.shown
                self.changed.clear()
                await self.changed.wait()

    async def ended(self, *, within: float | None = None) -> int:
        """Wait for the end, and for the last that anybody writes; the exit status."""
        async with asyncio.timeout(within):
            status = await self.child.wait()
            await self.closed.wait()
        return status

    def read(self) -> None:
        """Take what there is to read, or the news that the last writer has gone, which Linux tells by an error."""
        try:
            some = os.read(self.descriptor, 65536)
        except OSError:
            some = b""
        self.written += some
        if not some:
            asyncio.get_running_loop().remove_reader(self.descriptor)
            self.closed.set()
        self.changed.set()


@asynccontextmanager
async def terminal(
    *command: str | Path, width: int = 80, environ: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> AsyncIterator[Terminal]:
    """Run a command on a pseudo-terminal; it is ended if it still runs when the context is left."""
    ours, theirs = os.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    env = {**os.environ, "TERM": "xterm", **(environ or {})}
    env.pop("COLUMNS", None)
    shell = ("/bin/sh", "-c", FIRST_OPENED, os.ttyname(theirs))
    child = await asyncio.create_subprocess_exec(
        *shell, *command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    running = Terminal(child, ours)
    asyncio.get_running_loop().add_reader(ours, running.read)
    try:
        yield running
    finally:
        if child.returncode is None:
            child.terminate()  # so that it ends what it has started
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), STOP_SECONDS)
        if child.returncode is None:
            child.kill()
            await child.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


async def on_a_terminal(
    *command: str | Path, width: int = 80, environ: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; its exit status and all that it wrote."""
    async with terminal(*command, width=width, environ=environ, cwd=cwd) as running:
        return await running.ended(), running.output


def without_controls(shown: str) -> str:
    """What a terminal showed, without what moves the cursor or gives colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)


def columns(line: str) -> int:
    """How many columns a line takes: a wide character two of them, a combining one none."""
    marks = {"Mn", "Me", "Cf"}
    return sum(0 if category(one) in marks else 2 if east_asian_width(one) in "WF" else 1 for one in line)


def too_wide(shown: str, width: int) -> list[str]:
    """The lines that take more columns than there are."""
    return [line for line in re.split(r"[\r\n]+", shown) if columns(line) > width]
