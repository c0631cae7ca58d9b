"""Everything at once: Azurite, vault, simulated AvePoint and the local Functions host, wired as a deployed app."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from sandbox.azurite import Azurite, azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.processes import running, sandbox_command
from sandbox.vault import vault
from shared.settings import DEFAULT_SECRET_NAME

CLIENT_ID = "sandbox-client"
STOP_SECONDS: Final = 2.0  # nothing has to be finished, as all storage goes with it
SCHEDULES = {
    "HARVEST_ENPOWER_SCHEDULE": "0 0 1 * * *",
    "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
    "HARVEST_ELEMENTS_SCHEDULE": "0 0 3 * * *",
    "SWEEP_SCHEDULE": "0 */10 * * * *",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running, the app settings it runs with, and the whole environment of a process that is the app."""

    azurite: Azurite
    avepoint_url: str
    host: RunningHost
    environ: Mapping[str, str]
    host_environ: Mapping[str, str]


def app_settings(*, avepoint_url: str, storage: str) -> dict[str, str]:
    """Return the settings of an app that uses the simulated AvePoint and Azurite; its secret is not among them."""
    return {
        "AVEPOINT_DATA_CENTER": "us",
        "AVEPOINT_GRAPH_URL": avepoint_url,
        "AVEPOINT_ENPOWER_URL": f"{avepoint_url}/smp",
        "AVEPOINT_ELEMENTS_URL": avepoint_url,
        "AVEPOINT_IDENTITY_URL": avepoint_url,
        "AVEPOINT_CLIENT_ID": CLIENT_ID,
        "INVENTORY_STORAGE": storage,
        "HARVEST_ELEMENTS_DATASETS": "customers",
        "OPUS_DESTROY_ENABLED": "true",
        **SCHEDULES,
    }


@asynccontextmanager
async def running_stack(
    logs: Path,
    *,
    items: int,
    latency_ms: int = 0,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Stack]:
    """Run everything; it ends, and what it stored is gone, when the context is left.

    Args:
        logs: directory for the output of the processes.
        items: how many items each list of the simulated AvePoint holds.
        latency_ms: how long each of its answers takes at least.
        port: where the host listens on 127.0.0.1; 0 takes a free one.
        settings: app settings that go over those of the sandbox.
        say: is told what is being started.

    Raises:
        ProcessError: something did not start; the message carries its output.
    """
    secret = token_urlsafe()
    simulation = sandbox_command(
        *("avepoint", "--port", "0", "--items", str(items), "--latency-ms", str(latency_ms)),
        *("--client-id", CLIENT_ID, f"--client-secret={secret}"),
    )
    say("Storage (Azurite), a simulated AvePoint and a Key Vault")
    async with (
        running(*simulation, log=logs / "avepoint.log", stop_seconds=STOP_SECONDS) as avepoint,
        azurite(logs / "azurite.log", stop_seconds=STOP_SECONDS) as storage,
        vault({DEFAULT_SECRET_NAME: secret}, directory=logs) as keys,
    ):
        url = (await avepoint.printed(r"^avepoint listening on (\S+)$"))[1]
        environ = app_settings(avepoint_url=url, storage=storage.connection_string)
        environ |= {"AzureWebJobsStorage": storage.connection_string, **keys.environ, **(settings or {})}
        say("The app, in Microsoft's Functions runtime")
        temporary = logs / "temporary"  # what a process leaves that had to be killed goes with the logs
        temporary.mkdir(parents=True, exist_ok=True)
        host_environ = {**os.environ, **environ, "TMPDIR": str(temporary)}
        async with running_host(log=logs / "host.log", env=host_environ, port=port, stop_seconds=STOP_SECONDS) as host:
            yield Stack(storage, url, host, environ, host_environ)
