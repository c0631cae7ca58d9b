"""``python -m sandbox local``: the app on this machine against a real AvePoint, with the settings of a file."""

import asyncio
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from sandbox.arguments import port
from sandbox.azurite import ACCOUNT, lasting_azurite
from sandbox.host.process import running_host
from sandbox.host.server import PORT
from sandbox.processes import ROOT, ProcessError
from sandbox.serving import HOST, refuse_taken
from sandbox.stopping import StoppedError, until_stopped
from shared.errors import AppError, GiveUp, Misconfigured
from shared.settings import load_settings, use_local_settings

FOLDER: Final = ROOT / ".sandbox"
SETTINGS: Final = Path("local.settings.json")
STORAGES: Final = ("AzureWebJobsStorage", "INVENTORY_STORAGE", "TABLES_STORAGE")
DEVELOPMENT: Final = "UseDevelopmentStorage=true"
WRONG: Final = 2


class AzuritePorts(NamedTuple):
    """Where an Azurite listens on this machine."""

    blob: int = 10_000
    queue: int = 10_001


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--settings", type=Path, default=SETTINGS, metavar="FILE", help=f"the app settings (default: {SETTINGS})"
    )
    parser.add_argument("--port", type=port, default=PORT, help=f"where the app listens (default: {PORT})")
    parser.add_argument(
        "--data", type=Path, default=FOLDER, help="where Azurite keeps what is stored (default: .sandbox)"
    )
    parser.add_argument(
        "--storage-only", action="store_true", help="only start Azurite, for Azure Functions Core Tools (func start)"
    )


def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0; 1 where something does not start, 2 where the settings cannot be used.
    """
    try:
        _use(args.settings)
        if not args.storage_only:
            refuse_taken(args.port, target="local")
        asyncio.run(until_stopped(_serve(args)))
    except StoppedError:
        print(f"Ended. What was stored in Azurite stays in {args.data}.")
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return WRONG
    except ProcessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _use(settings: Path) -> None:
    """Put the settings into the environment.

    Raises:
        GiveUp: There are none, or they are missing, wrong, or those of the sample; each is named.
    """
    if not settings.exists():
        remedy = f"Copy local.settings.sample.json to {settings}, and fill it in."
        raise GiveUp(f"{settings} is not there", remedy=remedy)
    use_local_settings(settings)
    try:
        load_settings()
    except Misconfigured as error:
        lines = [f"{one.setting} {one.message}\n  -> {one.remedy}" for one in error.problems]
        raise GiveUp("\n".join([*lines, f"{settings} cannot be used as it is"])) from error


async def _serve(args: Namespace) -> None:
    args.data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        for place in sorted({place for name in STORAGES if (place := azurite_ports(os.environ.get(name, "")))}):
            if await _listens(place.blob):
                print(f"Azurite: it is running already, on port {place.blob}.", flush=True)
                continue
            print(f"Azurite: starting on port {place.blob} …", flush=True)
            azurite = lasting_azurite(
                args.data / "azurite.log", folder=args.data / "azurite", blob_port=place.blob, queue_port=place.queue
            )
            await stack.enter_async_context(azurite)
        if args.storage_only:
            print("Ready. In a second terminal: func start\nCtrl-C here ends Azurite.", flush=True)
        else:
            print("The app: starting in Microsoft's Functions runtime …", flush=True)
            host = await stack.enter_async_context(
                running_host(log=args.data / "host.log", env=os.environ, port=args.port)
            )
            print(f"Ready. Look at it: {host.url}/api/status\n")
            print(f"export APP={host.url} KEY={host.key}")
            print('APP_KEY=$KEY ./avepoint doctor --url "$APP"\n')
            print(f"Timers run as the settings say. Logs: {args.data}. Ctrl-C here ends it.", flush=True)
        await asyncio.Event().wait()


def azurite_ports(connection_string: str) -> AzuritePorts | None:
    """Return where a connection string expects an Azurite on this machine; ``None`` for anything else. Pure."""
    if connection_string.strip().rstrip(";") == DEVELOPMENT:
        return AzuritePorts()
    endpoint = rf"(Blob|Queue)Endpoint=http://(?:127\.0\.0\.1|localhost):(\d+)/{ACCOUNT}"
    found = dict(re.findall(endpoint, connection_string))
    return AzuritePorts(int(found["Blob"]), int(found["Queue"])) if found.keys() == {"Blob", "Queue"} else None


async def _listens(number: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, number)
    except OSError:
        return False
    writer.close()
    return True
