"""A lean AvePoint in a process of its own, so that it is not the server that is measured.

The base URL says what is served: ``{origin}/{items}/{milliseconds}`` is an AvePoint whose list of Power Apps holds so
many items, and whose every answer takes so long. Pages are compressed beforehand but for the last item of each, which
has an id of its own, and the link to the next page. A few different pages take turns.
"""

import asyncio
import re
import socket
import zlib
from argparse import ArgumentParser
from dataclasses import dataclass
from itertools import islice
from typing import Final, override
from urllib.parse import parse_qs, urlsplit

from benchmarks.contenders.work import PAGE_SIZE
from benchmarks.data import items
from sandbox.serving import HOST, listen

TENANTS: Final = tuple(f"tenant-{number}" for number in range(8))

_PATH: Final = re.compile(r"/(?P<items>\d+)/(?P<milliseconds>\d+)/(?P<rest>.*)")
_CONTENT_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD_END: Final = b"\r\n\r\n"
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_TOKEN: Final = b'{"access_token":"a-token-of-the-benchmark","expires_in":3600,"token_type":"Bearer"}'


@dataclass(frozen=True, slots=True)
class _Body:
    """A page up to its last item, as the beginning of a gzip stream."""

    deflated: bytes
    crc: int
    length: int

    @classmethod
    def of(cls, text: bytes) -> "_Body":
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = _GZIP_HEADER + deflate.compress(text) + deflate.flush(zlib.Z_FULL_FLUSH)
        return cls(deflated, zlib.crc32(text), len(text))

    def ended_by(self, text: bytes) -> list[bytes]:
        """The whole gzip stream, in pieces."""
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        check = zlib.crc32(text, self.crc).to_bytes(4, "little")
        length = (self.length + len(text)).to_bytes(4, "little")
        return [self.deflated, deflate.compress(text) + deflate.flush() + check + length]


class _Pages:
    """The pages of lists of any length."""

    def __init__(self, different: int) -> None:
        made = items(different * (PAGE_SIZE - 1) + 1, seed=1)
        self._bodies = [
            _Body.of(b'{"powerApps":[' + b",".join(islice(made, PAGE_SIZE - 1)) + b",") for _ in range(different)
        ]
        self._last = next(made)

    def page(self, target: str, *, held: int) -> list[bytes]:
        """The page that is asked for, in pieces; a tenant holds an even share of the items."""
        query = parse_qs(urlsplit(target).query)
        tenant = query.get("tenant", [""])[0]
        held = held // len(TENANTS) if tenant else held
        number = int(query.get("Page", ["0"])[0])
        last = self._last.replace(b'{"id":"', f'{{"id":"{tenant}{number}-'.encode(), 1)
        ended = (number + 1) * PAGE_SIZE >= held
        following = f"{target.partition('?')[0]}?top={PAGE_SIZE}&tenant={tenant}&Page={number + 1}"
        link = "" if ended else following.replace("&tenant=&", "&")
        end = b'],"totalCount":%d,"nextLink":"%s"}' % (held, link.encode())
        return self._bodies[number % len(self._bodies)].ended_by(last + end)


class _Connection(asyncio.Protocol):
    """Reads requests and answers them, one after the other."""

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.WriteTransport):
            raise TypeError(transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=16 * 1024 * 1024)

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(_HEAD_END)
        length = _CONTENT_LENGTH.search(head)
        if end and len(rest) >= (size := int(length[1]) if length else 0):
            self._buffer = rest[size:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        asked = _PATH.fullmatch(target)
        if asked is None or asked["rest"] == "connect/token":
            self._send(200, [_TOKEN], gzip=False)
            return
        if method == "GET":
            status, body, gzip = 200, self._pages.page(target, held=int(asked["items"])), True
        else:
            status, body, gzip = (201 if method == "POST" else 200), [b"{}"], False
        loop = asyncio.get_running_loop()
        loop.call_later(int(asked["milliseconds"]) / 1000, lambda: self._send(status, body, gzip=gzip))

    def _send(self, status: int, body: list[bytes], *, gzip: bool) -> None:
        encoding = "content-encoding: gzip\r\n" if gzip else ""
        length = sum(map(len, body))
        head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n{encoding}content-length: {length}\r\n\r\n"
        self._transport.writelines([head.encode(), *body])


async def _serve(listener: socket.socket, pages: _Pages) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(pages), sock=listener)
    print(f"listening on http://{HOST}:{listener.getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--pages", type=int, default=10, help="how many different pages there are")
    with listen(0) as listener:
        asyncio.run(_serve(listener, _Pages(parser.parse_args().pages)))
