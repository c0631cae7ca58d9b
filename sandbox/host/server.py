"""The host as a process: ``python -m sandbox host``."""

import asyncio
import logging
import os
import signal
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Final, Protocol, Self

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from sandbox.arguments import port
from sandbox.host.errors import StartError
from sandbox.host.http.admin import Admin
from sandbox.host.http.edge import Edge
from sandbox.host.http.functions import HTTP_TRIGGER, HttpFunctions
from sandbox.host.http.keys import function_key, own_keys
from sandbox.host.invocation import Invoker
from sandbox.host.queues.listener import QUEUE_TRIGGER, QueueListener
from sandbox.host.queues.outputs import QueueOutputs
from sandbox.host.queues.storage import Queues
from sandbox.host.runtime import Function, Runtime
from sandbox.host.settings import HostJson, azure_pace, host_id, invisibility_seconds, is_disabled
from sandbox.host.timers.storage import HostStorage
from sandbox.host.timers.timer import TIMER_TRIGGER, Timer
from sandbox.serving import GuestServer, listen

PORT: Final = 7071
DRAIN_SECONDS: Final = 30.0
LONGEST_HEAD: Final = 1024 * 1024  # of a request; what Azure allows is less, and refused with a status of its own
DEBUG_SETTING: Final = "PYTHON_ENABLE_DEBUG_LOGGING"  # as the Python worker of Azure Functions has it
LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

logger = logging.getLogger(__name__)


class Source(Protocol):
    """What makes a function run by itself."""

    function: Function

    async def run(self, stop: asyncio.Event) -> None: ...

    async def trigger(self, text: str, /) -> None:
        """Run the function now, with this input."""


class Host:
    """A function app and everything that triggers its functions.

    Args:
        runtime: the indexed app.
        host_json: its host.json.
        environ: the app settings.

    Raises:
        StartError: a trigger or binding cannot be served, or a setting of the host is wrong; the message names it.
    """

    def __init__(self, runtime: Runtime, host_json: HostJson, environ: Mapping[str, str]) -> None:
        extensions = host_json.extensions
        self.key = function_key(environ)
        self._functions = runtime.functions
        self._prefix = extensions.http.route_prefix
        self._queues = Queues(environ)
        outputs = QueueOutputs(self._functions, self._queues, extensions.queues.message_encoding)
        invoke = Invoker(runtime, outputs, host_json.function_timeout)
        by_trigger = self._by_trigger(HTTP_TRIGGER, TIMER_TRIGGER, QUEUE_TRIGGER)
        self._disabled = {function.name for function in self._functions if is_disabled(function.name, environ)}
        routed = [function for function in by_trigger[HTTP_TRIGGER] if function.name not in self._disabled]
        self._http = HttpFunctions(routed, prefix=self._prefix, key=self.key, own_keys=own_keys(environ), invoke=invoke)
        self._storage = HostStorage(environ, host_id(environ, Path.cwd()))
        self._sources: list[Source] = [
            Timer(
                function,
                environ,
                invoke,
                statuses=self._storage.status_of(function.name),
                lock=self._storage.lock_of(function.name),
            )
            for function in by_trigger[TIMER_TRIGGER]
        ]
        self._sources += [
            QueueListener(
                function,
                self._queues.of(function, function.trigger),
                self._queues.poison_of(function),
                options=extensions.queues,
                invisibility_seconds=invisibility_seconds(environ),
                azure_pace=azure_pace(environ),
                invoke=invoke,
            )
            for function in by_trigger[QUEUE_TRIGGER]
        ]

    @classmethod
    async def load(cls, app: Path, environ: Mapping[str, str]) -> Self:
        """Read host.json of the app in this directory and index its functions; one app a process.

        Raises:
            StartError: the app cannot start.
        """
        host_json = HostJson.read(app)
        return cls(await Runtime.load(app), host_json, environ)

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> bool:
        """Serve until ``stop`` is set, then take no new work and let running invocations finish.

        Returns:
            Whether they finished in time; those that did not are cut off.
        """
        for name in sorted(self._disabled):
            logger.info("'Functions.%s' is disabled", name)
        try:
            async with asyncio.timeout(None) as bound, asyncio.TaskGroup() as work:
                server = GuestServer(_config(self._app(work.create_task)))
                for source in self._sources:
                    if source.function.name not in self._disabled:
                        work.create_task(source.run(stop))
                work.create_task(server.serve([listening]))
                await stop.wait()
                server.should_exit = True
                bound.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
        except TimeoutError:
            logger.warning("Invocations still ran %.0f s after the end was asked for", DRAIN_SECONDS)
            return False
        finally:
            await self._queues.close()
            await self._storage.close()
        return True

    def _by_trigger(self, *known: str) -> dict[str, list[Function]]:
        sorted_out: dict[str, list[Function]] = {kind: [] for kind in known}
        for function in self._functions:
            kind = function.trigger["type"]
            if kind not in sorted_out:
                raise StartError(f"function {function.name}: trigger {kind} is not supported by the local host")
            sorted_out[kind].append(function)
        return sorted_out

    def _app(self, spawn: Callable[[Coroutine[None, None, None]], object]) -> Edge:
        triggers = {source.function.name: source.trigger for source in self._sources}
        admin = Admin(self._functions, triggers, prefix=self._prefix, key=self.key, spawn=spawn)
        app = Starlette(routes=admin.routes())
        app.router.default = self._http  # a mount would not take a path with a line feed in it
        return Edge(app)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, http="h11", h11_max_incomplete_event_size=LONGEST_HEAD, lifespan="off", ws="none", log_config=None
    )


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``python -m sandbox host``."""
    parser.add_argument("--port", type=port, default=PORT, help=f"where to listen on 127.0.0.1, default {PORT}")
    parser.add_argument("--app", type=Path, default=Path(), help="directory of the function app, default this one")


def run(args: Namespace) -> int:
    """Run the host until SIGTERM or SIGINT.

    Returns:
        The exit status: 0, or 1 when it cannot start.
    """
    _set_up_logging(debug=os.environ.get(DEBUG_SETTING, "").lower() in {"1", "true"})
    try:
        drained = asyncio.run(_main(args.app.resolve(), args.port))
    except StartError as error:
        print(f"{error.details}error: {error}", file=sys.stderr)
        return 1
    if not drained:
        sys.stderr.flush()
        os._exit(0)  # a function that runs in a thread would keep the process alive
    return 0


def _set_up_logging(*, debug: bool) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    for chatty in () if debug else ("azure", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def _main(app: Path, port: int) -> bool:
    stop = asyncio.Event()
    host = await Host.load(app, os.environ)
    listening = _listen(port)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"Function key: {host.key}")
    print(f"Host ready: http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    return await host.serve(listening, stop)


def _listen(port: int) -> socket.socket:
    try:
        return listen(port)
    except OSError as error:
        raise StartError(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from error
