"""What a handler gives back, and how it goes over the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl

import msgspec
from isal import igzip
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.avepoint.bodies import Page, compressed
from sandbox.avepoint.faults import Rule

_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class RefusedError(Exception):
    """A request is turned down; the message goes out in the error body of the service."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """`items` is the number of list items in the body, for the log."""

    status: int
    body: bytes | Page
    headers: Mapping[str, str] = field(default_factory=dict)
    items: int = 0


def json_answer(status: int, document: object, *, items: int = 0) -> Answer:
    return Answer(status, msgspec.json.encode(document), items=items)


@dataclass(frozen=True, slots=True)
class Call:
    """A request with the fault that was set for it."""

    request: Request
    rule: Rule

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; names in lower case, as the documents do not agree on their spelling."""
        return {name.lower(): value for name, value in self.request.query_params.items()}

    async def document(self) -> dict[str, object]:
        """Return the JSON object in the body; raise `RefusedError` (400) for anything else."""
        try:
            return msgspec.json.decode(await self.request.body(), type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"The body is no JSON object: {error}.") from error

    async def form(self) -> dict[str, str]:
        """Return the fields of a form-encoded body; raise `RefusedError` (400) for anything else."""
        if not self.request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_request")
        try:
            text = (await self.request.body()).decode("ascii")
            fields = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_request") from error
        return dict(fields)


class CutResponse(Response):
    """Promises a whole answer, sends the first bytes of its body and closes the connection; 0 sends nothing at all."""

    def __init__(self, response: Response, after: int) -> None:
        super().__init__(response.body[:after], response.status_code, response.headers)
        self.raw_headers = response.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.body:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
        cast("Callable[[], None]", scope["state"]["close"])()
        while (await receive())["type"] != "http.disconnect":
            pass


def respond(answer: Answer, *, request: Request, request_id: str, rule: Rule) -> Response:
    """Return the answer as the client can read it, spoilt as far as the rule says."""
    encoded = any(name.lower() == "content-encoding" for name in rule.headers)
    gzip = "gzip" in request.headers.get("accept-encoding", "") and not encoded
    body = _encoded(answer.body, gzip=gzip) if answer.status not in _WITHOUT_BODY else b""
    headers = {"request-id": request_id, "content-type": "application/json", **answer.headers}
    if gzip and body:
        headers["content-encoding"] = "gzip"
        body = body[: len(body) // 2] if rule.truncate_gzip else body
    response = Response(body + rule.tail.encode(), answer.status, headers)
    response.headers.update(rule.headers)
    return response if rule.cut is None else CutResponse(response, rule.cut)


def _encoded(body: bytes | Page, *, gzip: bool) -> bytes:
    if isinstance(body, Page):
        return compressed(body) if gzip else body.render()
    return igzip.compress(body) if gzip and body else body
