"""A wire without sockets: what is sent arrives in an application, and its answer comes back."""

from typing import override

import httpx
from starlette.types import ASGIApp

from shared.http.client import HttpClient


class Loopback(HttpClient):
    """The wire to an application in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._transports = {None: httpx.ASGITransport(app)}

    @override
    def _transport(self, url: str) -> httpx.AsyncBaseTransport:
        return self._transports[None]
