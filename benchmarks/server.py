"""A lean AvePoint in a process of its own, so that it is not the server that is measured.

The base URL says what is served: ``{origin}/{items}/{milliseconds}`` is an AvePoint whose list of Power Apps holds so
many items, and whose every answer takes so long. Its list of audits holds as many, whatever the window. Pages are
compressed beforehand but for the last item of each and the link to the next page. A few different pages take turns; the
ids in them differ from page to page.
"""

import asyncio
import re
import socket
import zlib
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, override
from urllib.parse import parse_qs, urlsplit

from benchmarks.contenders.work import PAGE_SIZE
from benchmarks.data import WINDOWED, items
from sandbox.serving import HOST, listen

TENANTS: Final = tuple(f"tenant-{number}" for number in range(8))

_PATH: Final = re.compile(r"/(?P<items>\d+)/(?P<milliseconds>\d+)/(?P<rest>.*)")
_CONTENT_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD_END: Final = b"\r\n\r\n"
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_MARK: Final = b"^~|`<|^>"  # nothing like it is in the data, so nothing else is copied from it
_TOKEN: Final = b'{"access_token":"a-token-of-the-benchmark","expires_in":3600,"token_type":"Bearer"}'


@dataclass(frozen=True, slots=True)
class _Body:
    """A page up to its last item, as the beginning of a gzip stream.

    The id of every item holds a mark. In the stream it stands once as it is, and is copied from there: another one in
    its place gives all items other ids, and nothing is compressed again.
    """

    text: bytes
    head: bytes
    deflated: bytes

    @classmethod
    def of(cls, text: bytes) -> "_Body":
        """Compress a page.

        Raises:
            AssertionError: The compressor did not copy the mark everywhere.
        """
        head = text[: text.index(_MARK) + len(_MARK)]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=head)
        body = cls(text, head, deflate.compress(text[len(head) :]) + deflate.flush(zlib.Z_FULL_FLUSH))
        other = _mark(TENANTS[1], 23456)
        if zlib.decompressobj(-zlib.MAX_WBITS).decompress(body.start(other) + body.deflated) != body.marked(other):
            raise AssertionError("the mark is not always copied from its first place")
        return body

    def marked(self, mark: bytes) -> bytes:
        """Return the text of the page with another mark."""
        return self.text.replace(_MARK, mark)

    def start(self, mark: bytes) -> bytes:
        """Return the first block of the stream: the head as it is, behind its length."""
        length = len(self.head)
        lengths = length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        return b"\x00" + lengths + self.head.replace(_MARK, mark)


class _Pages:
    """The pages of lists of any length, no item of which has the id of another."""

    def __init__(self, envelope: bytes, made: Iterator[bytes], different: int) -> None:
        marked = (item.replace(b'":"', b'":"' + _MARK, 1) for item in made)
        self._bodies = [
            _Body.of(b'{"%b":[' % envelope + b",".join(islice(marked, PAGE_SIZE - 1)) + b",") for _ in range(different)
        ]
        self._last = next(marked)
        self._sums: dict[bytes, int] = {}

    @classmethod
    def of_power_apps(cls, different: int) -> "_Pages":
        return cls(b"powerApps", items(different * PAGE_SIZE, seed=1), different)

    @classmethod
    def of_audits(cls, different: int) -> "_Pages":
        made = items(different * PAGE_SIZE, seed=1, resource=WINDOWED)
        numbered = (item.replace(b'":"', b'":"%05d ' % number, 1) for number, item in enumerate(made))
        return cls(b"data", numbered, different)

    def page(self, target: str, *, held: int) -> list[bytes]:
        """Return the page that is asked for, in pieces; a tenant holds an even share of the items."""
        query = parse_qs(urlsplit(target).query)
        tenant = query.get("tenant", [""])[0]
        held = held // len(TENANTS) if tenant else held
        number = int(query.get("Page", ["0"])[0])
        ended = (number + 1) * PAGE_SIZE >= held
        following = f"{target.partition('?')[0]}?top={PAGE_SIZE}&tenant={tenant}&Page={number + 1}"
        link = "" if ended else following.replace("&tenant=&", "&")
        mark = _mark(tenant, number)
        last = self._last.replace(_MARK, mark)
        end = last + b'],"totalCount":%d,"nextLink":"%s"}' % (held, link.encode())
        return self._stream(self._bodies[number % len(self._bodies)], mark, end)

    def _stream(self, body: _Body, mark: bytes, end: bytes) -> list[bytes]:
        """Return the whole gzip stream, in pieces."""
        if mark not in self._sums:
            self._sums[mark] = zlib.crc32(body.marked(mark))
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        check = zlib.crc32(end, self._sums[mark]).to_bytes(4, "little")
        length = (len(body.text) + len(end)).to_bytes(4, "little")
        start = _GZIP_HEADER + body.start(mark)
        return [start, body.deflated, deflate.compress(end) + deflate.flush() + check + length]


def _mark(tenant: str, page: int) -> bytes:
    """Return what the ids of a page hold, as long as every other mark."""
    return b"%d-%05d-" % (TENANTS.index(tenant) if tenant else len(TENANTS), page)


class _Connection(asyncio.Protocol):
    """Reads requests and answers them, one after the other."""

    def __init__(self, power_apps: _Pages, audits: _Pages) -> None:
        self._power_apps = power_apps
        self._audits = audits
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
            pages = self._audits if asked["rest"].startswith("aos/") else self._power_apps
            status, body, gzip = 200, pages.page(target, held=int(asked["items"])), True
        else:
            status, gzip = (201 if method == "POST" else 200), False
            body = [b'{"statusCode":%d,"message":null}' % status]
        loop = asyncio.get_running_loop()
        loop.call_later(int(asked["milliseconds"]) / 1000, lambda: self._send(status, body, gzip=gzip))

    def _send(self, status: int, body: list[bytes], *, gzip: bool) -> None:
        encoding = "content-encoding: gzip\r\n" if gzip else ""
        length = sum(map(len, body))
        head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n{encoding}content-length: {length}\r\n\r\n"
        self._transport.writelines([head.encode(), *body])


async def _serve(listener: socket.socket, different: int) -> None:
    power_apps, audits = _Pages.of_power_apps(different), _Pages.of_audits(different)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(power_apps, audits), sock=listener)
    print(f"listening on http://{HOST}:{listener.getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--pages", type=int, default=10, help="how many different pages there are")
    with listen(0) as listener:
        asyncio.run(_serve(listener, parser.parse_args().pages))
