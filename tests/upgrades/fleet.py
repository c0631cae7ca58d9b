"""Instances of two versions at work at once: this one, and the release before, from the history of the project."""

import asyncio
import json
import os
import re
import signal
import sys
import tarfile
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self

from sandbox.azurite import Azurite
from sandbox.processes import ROOT
from tests.conftest import Simulator, app_settings
from tests.require import require, skip_unless_required

RELEASE_BEFORE = "5f116167115529431dda1f4814971acc762e7e39"
"""The last commit of 0.1.0, without what CHANGELOG.md lists beyond it."""

NEW_DATASET = "enpower-mailboxes"
"""A dataset that is taken out of the catalogue of the release before: as if this version had brought it."""

HERE = Path(__file__).parent
WITHIN_SECONDS = 600
POLL_SECONDS = 0.05
SILENCE = 400
"""So many seconds later, the sweep wakes up whatever nobody works on."""

type Version = Literal["old", "new"]


async def release_before(folder: Path) -> Path:
    """Unpack the release before into a folder, with one dataset less.

    Skips the test where the history of the project is not there, as in an export or a shallow clone.
    """
    program = require("git", why="the release before stands in the history of the project")
    git = await asyncio.create_subprocess_exec(
        *(program, "-C", str(ROOT), "archive", RELEASE_BEFORE, "shared", "functions", "function_app.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    archive, _ = await git.communicate()
    if git.returncode != 0:
        skip_unless_required("the history of the project is not there: fetch all of it")
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    catalog = folder / "shared/avepoint/catalog/enpower.toml"
    pattern = rf"^\[datasets\.{NEW_DATASET}\]\n(?:(?!\[).*\n|\s*\n)*"
    text, found = re.subn(pattern, "", catalog.read_text(), flags=re.MULTILINE)
    assert found == 1
    catalog.write_text(text)
    return folder


@dataclass
class Instance:
    """A process of one version."""

    version: Version
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def call(
        self, function: str, method: str, path: str, body: object = None, *, key: str = "", **route: str
    ) -> dict[str, Any]:
        """Call a route, and return what it answers."""
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        asked = {"function": function, "method": method, "path": path, "body": body, "headers": headers, "route": route}
        told = await self._ask(asked)
        assert told.get("status", 500) < 400, told
        return told["body"]  # type: ignore[no-any-return]  # an object, as all answers are

    async def sweep(self) -> None:
        """Fire the timer of the sweep."""
        assert await self._ask({"function": "sweep"}) == {}

    async def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        await self.reader.read()
        self.writer.close()

    async def _ask(self, asked: Mapping[str, object]) -> dict[str, Any]:
        self.writer.write(json.dumps(asked).encode() + b"\n")
        return json.loads(await self.reader.readline())  # type: ignore[no-any-return]  # an object


@dataclass
class Fleet:
    """All instances, and the clock that they share."""

    roots: Mapping[Version, Path]
    folder: Path
    environ: Mapping[str, str]
    ahead: int = 0
    breeders: dict[Version, asyncio.subprocess.Process] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)

    @classmethod
    def of(cls, old: Path, folder: Path, azurite: Azurite, avepoint: Simulator, **settings: str) -> Self:
        """Return one without instances."""
        environ = {**os.environ, **app_settings(azurite, avepoint), **settings, "CLOCK": str(folder / "clock")}
        fleet = cls({"old": old, "new": ROOT}, folder, environ)
        fleet.advance(0)
        return fleet

    def advance(self, seconds: int) -> None:
        """Move the clock of all instances on."""
        self.ahead += seconds
        written = self.folder / "clock.new"
        written.write_text(str(self.ahead))
        written.replace(self.folder / "clock")

    @property
    def now(self) -> datetime:
        """The time of all instances."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    async def start(self, version: Version) -> Instance:
        """Start an instance, and wait until it listens."""
        if version not in self.breeders:
            self.breeders[version] = await self._run(version, "-P", str(HERE / "instance.py"))
        breeder = self.breeders[version]
        connected = asyncio.get_running_loop().create_future()

        def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set_result((reader, writer))

        address = f"/tmp/{uuid.uuid4().hex}"  # noqa: S108 - such a path may have some hundred characters, not more
        server = await asyncio.start_unix_server(meet, address, limit=2**24)
        assert breeder.stdin is not None
        breeder.stdin.write(f"{address}\n".encode())
        async with asyncio.timeout(WITHIN_SECONDS):
            reader, writer = await connected
            told = json.loads(await reader.readline())
        server.close()  # to wait for it would be to wait for the end of the connection
        instance = Instance(version, told["pid"], reader, writer)
        self.instances.append(instance)
        return instance

    async def verify_evidence(self, version: Version) -> str:
        """Return what the command of a version says of the evidence."""
        child = await self._run(version, "-m", "shared.opus.verify")
        told, _ = await child.communicate()
        return told.decode()

    async def until[T](self, instance: Instance, look: Callable[[], Awaitable[T | None]]) -> T:
        """Look until there is something; meanwhile time passes, and the sweep of an instance is fired."""
        async with asyncio.timeout(WITHIN_SECONDS):
            while True:
                for _ in range(40):
                    if found := await look():
                        return found
                    await asyncio.sleep(POLL_SECONDS)
                self.advance(SILENCE)
                await instance.sweep()

    async def close(self) -> None:
        """End all instances."""
        for instance in self.instances:
            if not instance.writer.is_closing():
                await instance.kill()
        for breeder in self.breeders.values():
            breeder.kill()
            await breeder.wait()

    async def _run(self, version: Version, *arguments: str) -> asyncio.subprocess.Process:
        path = [self.roots[version], *([HERE / "standins"] if version == "old" else [])]
        with (self.folder / f"{version}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=self.roots[version],
                env={**self.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            )
