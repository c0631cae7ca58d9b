from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import JSONResponse, Response


class RefusedError(Exception):
    """A request is turned down, with the body and the headers that the service would send."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> Response:
        return JSONResponse(self.body, self.status, self.headers)


@dataclass
class Fault:
    """A service that fails when it is told to, so many times or until it recovers."""

    _refusal: RefusedError | None = None
    _left: int | None = field(default=None)

    def fail(self, status: int, *, retry_after: str | None = None, times: int | None = None) -> None:
        """Answer every request, or the next few, with `status`."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = {"error": {"code": HTTPStatus(status).phrase, "message": "The service was told to fail."}}
        self._refusal, self._left = RefusedError(status, body, headers), times

    def recover(self) -> None:
        """Answer as usual again."""
        self._refusal = None

    def strike(self) -> None:
        """Raise `RefusedError` while there is a fault."""
        if self._refusal is None or self._left == 0:
            return
        if self._left is not None:
            self._left -= 1
        raise self._refusal
