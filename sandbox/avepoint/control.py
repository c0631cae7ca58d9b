"""The routes below `/_sandbox`: set faults, see what was asked, and see what there is. They need no token."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.avepoint.families import UnknownParentError
from sandbox.avepoint.faults import Rule
from sandbox.avepoint.holdings import Rows
from sandbox.avepoint.paging import whole
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.windows import moment
from sandbox.avepoint.wire import RefusedError

_RULES = TypeAdapter(list[Rule])
_JSON = "application/json"
_OWN_PARAMETERS = {"from", "count", "since", "until", "at", "tenant"}


class Control:
    def __init__(self, avepoint: AvePoint) -> None:
        self._avepoint = avepoint

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/faults", self.faults, methods=["GET"]),
            Route("/_sandbox/faults", self.set_faults, methods=["POST"]),
            Route("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/log", self.log, methods=["GET"]),
            Route("/_sandbox/log", self.clear_log, methods=["DELETE"]),
            Route("/_sandbox/items/{resource}", self.items, methods=["GET"]),
            Route("/_sandbox/opus", self.opus, methods=["GET"]),
        ]

    async def faults(self, _: Request) -> Response:
        settings = self._avepoint.settings.model_dump(by_alias=True, mode="json")
        return _json({"rules": self._avepoint.faults.listed(), **settings})

    async def set_faults(self, request: Request) -> Response:
        """Add rules and change settings: a list of rules, or an object with `rules` and the names of settings."""
        try:
            document = msgspec.json.decode(await request.body())
            changes = document if isinstance(document, dict) else {"rules": document}
            rules = _RULES.validate_python(changes.pop("rules", []))
            self._avepoint.change(changes)
        except ValidationError as error:
            return _bad_request("; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()))
        except (ValueError, RecursionError) as error:
            return _bad_request(str(error))
        self._avepoint.faults.add(rules)
        return await self.faults(request)

    async def clear_faults(self, _: Request) -> Response:
        self._avepoint.calm()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def log(self, request: Request) -> Response:
        return _json(self._avepoint.log.entries(request.query_params.get("path", "*")))

    async def clear_log(self, _: Request) -> Response:
        self._avepoint.log.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def items(self, request: Request) -> Response:
        """Answer items of any list as one JSON array of the bytes that are served, those at the places `from` on.

        `count` is how many, all of the list without it; `since` and `until` make a window of a list with a time filter,
        `at` says at which instant, `tenant` filters by tenant. Every other parameter is a parent value of a child list.
        """
        name = request.path_params["resource"]
        if name not in self._avepoint.listings:
            return _json({"error": f"There is no list {name}."}, HTTPStatus.NOT_FOUND)
        try:
            rows = self._rows(name, dict(request.query_params))
        except UnknownParentError as error:
            return _json({"error": str(error)}, HTTPStatus.NOT_FOUND)
        except RefusedError as refusal:
            return _bad_request(refusal.message)
        except KeyError as error:
            return _bad_request(f"{error.args[0]} is required.")
        except (ValueError, TypeError) as error:
            return _bad_request(str(error))
        return StreamingResponse(_array(rows), media_type=_JSON)

    async def opus(self, _: Request) -> Response:
        opus = self._avepoint.opus
        return _json({"records": opus.records, "executions": list(opus.executions)})

    def _rows(self, name: str, query: dict[str, str]) -> Rows:
        first = whole(query, "from", 0, minimum=0, maximum=None)
        count = whole(query, "count", "", minimum=0, maximum=None) if "count" in query else None
        since, until, at = (_moment(query.get(name)) for name in ("since", "until", "at"))
        tenant = query.get("tenant")
        parents = {parameter: value for parameter, value in query.items() if parameter not in _OWN_PARAMETERS}
        whole_list = None if count is None else first + count
        rows = self._avepoint.rows(name, parents, window=(since, until), tenant=tenant, count=whole_list, at=at)
        return Rows(rows.items, rows.numbers[first:])


def _array(rows: Rows) -> Iterator[bytes]:
    yield b"["
    for place, item in enumerate(rows):
        yield (b"," if place else b"") + item
    yield b"]"


def _moment(text: str | None) -> datetime | None:
    return moment(text, is_end=False, end_day_included=False, ahead=timedelta()) if text else None


def _json(document: object, status: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(document), status, media_type=_JSON)


def _bad_request(message: str) -> Response:
    return _json({"error": message}, HTTPStatus.BAD_REQUEST)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))
