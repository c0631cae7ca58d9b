"""The host as a child process, as tests and the other commands of the sandbox run it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.processes import ROOT, STOP_SECONDS, Process, running, sandbox_command


@dataclass(frozen=True, slots=True)
class RunningHost:
    """A host that is ready, the origin of its URLs, and the key it accepts."""

    process: Process
    url: str
    key: str


@asynccontextmanager
async def running_host(
    *, log: Path, env: Mapping[str, str], app: Path = ROOT, port: int = 0, stop_seconds: float = STOP_SECONDS
) -> AsyncIterator[RunningHost]:
    """Run the host for the function app in ``app``; it drains when the context is left.

    Args:
        log: where its output goes.
        env: its whole environment, the app settings among it.
        app: the directory of the function app, default: this project.
        port: where it listens on 127.0.0.1; 0 takes a free one.
        stop_seconds: how long it may drain.

    Raises:
        ProcessError: it did not start; the message carries its output.
    """
    command = sandbox_command("host", "--port", str(port), "--app", app)
    async with running(*command, log=log, env=env, stop_seconds=stop_seconds) as process:
        url = await process.printed(r"^Host ready: (\S+)$")
        key = await process.printed(r"^Function key: (\S+)$")
        yield RunningHost(process, url[1], key[1])
