"""One HTTP exchange: the one place that knows httpx."""

import asyncio
import ssl
import uuid
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from urllib.parse import urlencode

import httpx
from isal import isal_zlib

from shared.avepoint.request import Response
from shared.errors import BadResponse, BrokenChain, Interrupted, Unreachable
from shared.http.proxies import Proxies
from shared.telemetry.redaction import redacted, redacted_url
from shared.version import VERSION

BODY_CEILING = 256 * 1024 * 1024
"""No page of AvePoint comes near 256 MiB; an answer that does is an error."""

RESPONSE_SECONDS = 300
"""The longest time from the first byte of a request to the last byte of its response."""

REQUEST_ID = "x-ms-client-request-id"
"""The header under which Microsoft's and AvePoint's services log whose request it was."""

_HEADERS = {"User-Agent": f"avepoint-functions/{VERSION}", "Accept": "*/*", "Accept-Encoding": "gzip"}
_TIMEOUTS = {"timeout": httpx.Timeout(connect=10, read=90, write=30, pool=None).as_dict()}
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30)
_GZIP = 16 + 15
_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"})
"""The content codings of the IANA registry that change the bytes; other words in that header mean nothing."""
_MEMBER = b"\x1f"
_MOST_MEMBERS = 100_000
"""Of one gzip stream: more of them, all empty, would only burn CPU."""
_NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_CHECK_NETWORK = (
    "Check the AVEPOINT_*_URL settings, DNS, firewall and proxy, and SSL_CERT_FILE where a proxy opens TLS connections."
)


class HttpClient:
    """The pooled connections of the process and event loop, straight or through the proxies of the environment.

    What a client of httpx does beyond that (cookies, redirects, authentication) is not wanted; it takes a fifth of the
    CPU of an exchange.

    Args:
        tls: Whom to trust, and which protocol to speak at least.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._open = partial(httpx.AsyncHTTPTransport, verify=tls, limits=_LIMITS)
        self._proxies = Proxies()
        self._transports: dict[str | None, httpx.AsyncBaseTransport] = {}

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send one request and read its answer to the end.

        Raises:
            Unreachable: There was no connection: nothing was sent.
            Interrupted: The answer was lost, late, damaged, or came without its end.
            BadResponse: The answer is larger than 256 MiB, or encoded in a way nobody asked for.
            BrokenChain: ``url`` is not a URL.
        """
        what = f"{method} {redacted_url(url)} (request {headers.get(REQUEST_ID, 'without id')})"
        try:
            request = httpx.Request(method, url, headers={**_HEADERS, **headers}, content=body, extensions=_TIMEOUTS)
            async with asyncio.timeout(RESPONSE_SECONDS):
                response = await self._transport(url).handle_async_request(request)
                async with aclosing(response):
                    return Response(response.status_code, response.headers, await _read(response, what))
        # No error of httpx is chained: it holds the request, and so the token.
        except _NO_CONNECTION as error:
            raise Unreachable(f"no connection for {what}: {_reason(error)}", remedy=_CHECK_NETWORK) from None
        except httpx.HTTPError as error:
            raise Interrupted(f"the answer to {what} was lost: {_reason(error)}") from None
        except TimeoutError:
            raise Interrupted(f"the answer to {what} took more than {RESPONSE_SECONDS} s") from None
        except httpx.InvalidURL as error:
            raise BrokenChain(f"{what} has an address that is not a URL: {_reason(error)}") from None

    async def post_form(self, url: str, form: Mapping[str, str]) -> Response:
        """Post a form, as the identity service wants it; raises what ``exchange`` raises."""
        headers = {REQUEST_ID: str(uuid.uuid4()), "Content-Type": "application/x-www-form-urlencoded"}
        return await self.send("POST", url, headers, urlencode(form).encode())

    async def close(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            await transport.aclose()

    def _transport(self, url: str) -> httpx.AsyncBaseTransport:
        proxy = self._proxies.proxy_for(url)
        if proxy not in self._transports:
            self._transports[proxy] = self._open(proxy=proxy)
        return self._transports[proxy]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {redacted(str(error))}".rstrip()


async def _read(response: httpx.Response, what: str) -> bytes:
    """Return the whole body, decompressed."""
    encoding = response.headers.get("content-encoding", "")
    compressions = [word for one in encoding.lower().split(",") if (word := one.strip()) in _COMPRESSIONS]
    if compressions not in ([], ["gzip"], ["x-gzip"]):
        raise BadResponse(f"the answer to {what} is encoded as {encoding[:40]!r}; only gzip was asked for")
    gunzip = _Gunzip() if compressions else None
    chunks: list[bytes] = []
    size = 0
    try:
        async for raw in response.aiter_raw():
            chunk = gunzip.inflated(raw) if gunzip else raw
            chunks.append(chunk)
            size += len(chunk)
            if size > BODY_CEILING:
                raise BadResponse(f"the answer to {what} has more than {BODY_CEILING} bytes")
            if gunzip and gunzip.members > _MOST_MEMBERS:
                raise BadResponse(f"the answer to {what} is a gzip stream of more than {_MOST_MEMBERS} members")
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls the class an instance
        raise Interrupted(f"the answer to {what} is a damaged gzip stream: {error}") from None
    if gunzip and not gunzip.is_whole:
        raise Interrupted(f"the answer to {what} is a gzip stream without its end")
    return b"".join(chunks)


class _Gunzip:
    """Inflates a gzip stream of several members; what is no member behind the last one is padding, and left out."""

    def __init__(self) -> None:
        self._member = isal_zlib.decompressobj(_GZIP)
        self._is_over = False
        self.members = 1
        self.is_whole = True

    def inflated(self, raw: bytes) -> bytes:
        chunks: list[bytes] = []
        while raw and not self._is_over:
            if self._member.eof:
                self._is_over = not raw.startswith(_MEMBER)
                if self._is_over or self.members > _MOST_MEMBERS:
                    break
                self._member = isal_zlib.decompressobj(_GZIP)
                self.members += 1
            chunks.append(self._member.decompress(raw))
            self.is_whole = self._member.eof
            raw = self._member.unused_data
        return b"".join(chunks)
