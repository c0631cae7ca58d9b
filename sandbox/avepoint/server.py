import asyncio
import signal
import sys
from argparse import ArgumentParser, Namespace
from asyncio import Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import override

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.arguments import count, port
from sandbox.avepoint.app import create_app
from sandbox.avepoint.identity import Credentials
from sandbox.avepoint.settings import Settings
from sandbox.avepoint.simulation import AvePoint
from sandbox.processes import ProcessError
from sandbox.serving import HOST, GuestServer, listen, refuse_taken


class _ClosableProtocol(H11Protocol):
    """Lets the application close the connection, as `state.close` of a request."""

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "close": transport.close}


@asynccontextmanager
async def serve(avepoint: AvePoint, *, port: int = 0) -> AsyncIterator[str]:
    """Serve on the loopback interface (port 0: a free one) and yield the base URL once it answers."""
    with listen(port) as listener:
        config = uvicorn.Config(
            create_app(avepoint),
            http=_ClosableProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = GuestServer(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=port, required=True, help="port on the loopback interface, 0 for a free one")
    parser.add_argument("--items", type=count, default=250, help="items in every list (default: 250)")
    parser.add_argument("--latency-ms", type=count, default=0, help="delay of every answer (default: 0)")
    parser.add_argument("--client-id", default="", help="with --client-secret, the only client let in (default: any)")
    parser.add_argument("--client-secret", default="", help="see --client-id")


def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0, or 1 where the port cannot be used.
    """
    try:
        refuse_taken(args.port)
    except ProcessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    asyncio.run(_serve_until_stopped(args))
    return 0


async def _serve_until_stopped(args: Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    settings = Settings(items=args.items, latency_ms=args.latency_ms)
    credentials = Credentials(args.client_id, args.client_secret) if args.client_id or args.client_secret else None
    async with serve(AvePoint(settings, credentials=credentials), port=args.port) as url:
        print(f"avepoint listening on {url}", flush=True)
        await stopped.wait()
