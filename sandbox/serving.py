"""What the servers of the sandbox share: they listen on loopback, and leave signals to the process they run in."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, override

import uvicorn

from sandbox.processes import ProcessError

HOST: Final = "127.0.0.1"


class GuestServer(uvicorn.Server):
    """Leaves signals to the process it runs in, which may have more to end than this server."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int) -> socket.socket:
    """Return a socket that listens on ``port`` of the loopback interface, 0 being a free one.

    Raises:
        OSError: the port cannot be used.
    """
    # asyncio switches Nagle's delay off only for sockets that say they are TCP, which those of create_server do not
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def refuse_taken(wanted: int, *, target: str | None = None) -> None:
    """Refuse a port that cannot be used before anything is started; ``target`` is that of make, where there is one.

    Raises:
        ProcessError: it cannot be used.
    """
    try:
        listen(wanted).close()
    except OSError as error:
        hint = f". Take another one: make {target} PORT={wanted + 1}" if target else ""
        raise ProcessError(f"port {wanted} of {HOST} cannot be used: {error.strerror}{hint}") from error
