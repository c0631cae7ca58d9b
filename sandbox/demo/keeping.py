"""What stays of the demo: the status page as a file, and where wanted all that was stored."""

import shutil
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from sandbox.processes import running
from sandbox.stack import Stack

CONTAINERS: Final = ("inventory", "tables", "opus-operations", "opus-evidence")


def empty_folder(text: str) -> Path:
    """Read the name of a folder that is empty, or not there yet."""
    folder = Path(text).expanduser().resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ArgumentTypeError(f"{text} is not an empty folder; the demo overwrites nothing")
    return folder


@contextmanager
def whole_or_gone(folder: Path) -> Iterator[None]:
    """Make a folder, and take it away again unless all of it was written: the same name can then be given again."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:  # Ctrl-C and a cancellation leave half of it, too
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def write_page(stack: Stack, file: Path, *, log: Path) -> None:
    """Write the status page with its data, as ``python -m shared.tables.page`` does.

    Raises:
        ProcessError: it could not be written.
    """
    command = (sys.executable, "-m", "shared.tables.page", "--out", file)
    async with running(*command, log=log, env=stack.host_environ, stop_seconds=1) as process:
        await process.printed(r"\.html$")


async def keep_containers(stack: Stack, folder: Path) -> None:
    """Copy every blob of the app into a folder for each container."""
    async with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as account:
        for name in CONTAINERS:
            await _keep(account.get_container_client(name), folder / name)


async def _keep(container: ContainerClient, folder: Path) -> None:
    async for path in container.list_blob_names():
        data = await (await container.download_blob(path)).readall()
        _write(folder / path, data)  # in no thread, which would go on writing after Ctrl-C


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
