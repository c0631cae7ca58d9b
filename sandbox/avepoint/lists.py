from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import product
from types import EllipsisType

import msgspec

from sandbox.avepoint import paging
from sandbox.avepoint.asked import Asked
from sandbox.avepoint.bodies import Page, around, failing, rekeyed
from sandbox.avepoint.catalog import EndMarker, LinkShape, Listing, Paging
from sandbox.avepoint.families import Families, UnknownParentError
from sandbox.avepoint.faults import Failure
from sandbox.avepoint.holdings import Holdings, Rows
from sandbox.avepoint.items import Family
from sandbox.avepoint.settings import Settings, for_list
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.wire import Answer, Call, RefusedError

type _Link = str | bool | EllipsisType | None

_END: Mapping[EndMarker, _Link] = {"empty": "", "null": None, "absent": ..., "n/a": "N/A", "false": False}
_EMPTY, _NOTE = _SAY_NOTHING = ("_", "note")
"""Parameters of links that say nothing about the list: how many empty pages came, and what a setting adds."""
_URLS: tuple[LinkShape, ...] = ("absolute", "root-relative", "prefixless", "relative")
_IN_BODY: tuple[LinkShape, ...] = ("token", "json", "none")


def list_handler(avepoint: AvePoint, listing: Listing) -> Callable[[Call], Awaitable[Answer]]:
    """Return the handler that serves a resource of the catalogue."""
    resource = listing.resource

    async def serve(call: Call) -> Answer:
        avepoint.identity.require(call.request, resource.scopes)
        asked = await Asked.by(call, resource)
        rows = _rows(asked, avepoint.holdings, call.rule.items)
        page = _Cut(asked, call, avepoint.settings, avepoint.seal).page(rows, listing.error)
        return Answer(HTTPStatus.OK, page, items=len(page.numbers))

    return serve


def _rows(asked: Asked, holdings: Holdings, count: int | None) -> Rows:
    """Return all items the request is about, `count` of them in the whole list if that is set."""
    resource = asked.resource
    span = asked.span(holdings.settings, holdings.now)
    families = _families(asked, holdings)
    if len(families) != 1:
        return holdings.joined(resource.name, families, count=count)
    tenant = asked.given.get(resource.tenant.lower()) if resource.tenant else None
    rows = holdings.rows(resource.name, families[0], span=span, tenant=tenant, count=count)
    for parameter, field in resource.ids.items():
        if wanted := asked.ids(parameter):
            rows = holdings.having(rows, holdings.column(resource.name, families[0], field), wanted)
    return rows


def _families(asked: Asked, holdings: Holdings) -> list[Family | None]:
    """Return the families whose items are asked for; a list without parents is one of its own."""
    families, name = Families(holdings), asked.resource.name
    given = {parameter: asked.values(parameter) for parameter in families.parameters(name)}
    missing = next((parameter for parameter, values in given.items() if not values), None)
    try:
        if missing is None:
            chosen = product(*given.values())
            return [families.of(name, dict(zip(given, values, strict=True))) for values in chosen]
        if not for_list(holdings.settings.parent_required, name, default=True):
            return [families.of(name, values) for values in families.all_of(name) if not families.is_gone(name, values)]
    except UnknownParentError as error:
        raise RefusedError(HTTPStatus.NOT_FOUND, str(error)) from error
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
    raise RefusedError(HTTPStatus.BAD_REQUEST, f"{missing} is required.")


class _Cut:
    """Cuts the page that was asked for out of the rows."""

    def __init__(self, asked: Asked, call: Call, settings: Settings, seal: paging.Seal) -> None:
        self._asked = asked
        self._call = call
        self._settings = settings
        self._seal = seal
        self._paging = _paging(asked, settings)

    def page(self, rows: Rows, error: object) -> Page:
        """Return the page; a failure told inside it is that of the service's error body where it has no keys for it."""
        failure = self._call.rule.failure
        size = self._size(len(rows.numbers))
        start = paging.offset(self._paging, self._asked.given, size=size, seal=self._seal, of=self._of)
        empty = self._empty_pages_so_far()
        is_empty = empty is not None or (failure is not None and not self._is_kept(failure))
        numbers = rows.numbers[:0] if is_empty else self._numbers(rows.numbers, start, size)
        marks = {
            "$total": self._total(len(rows.numbers), len(numbers)),
            "$next": self._next(len(rows.numbers), start, size) if empty is None else self._again(start, size, empty),
            "$page": start // max(size, 1) + self._paging.first,
            "$size": size,
        }
        body = self._body() if failure is None else failing(self._body(), failure, error)
        return Page(rows.items, numbers, *around(body, marks))

    def _is_kept(self, failure: Failure) -> bool:
        return failure.list == "kept" and isinstance(self._asked.resource.body, dict)

    def _size(self, rows: int) -> int:
        name = self._asked.resource.name
        if self._paging.style == "none":
            return rows
        if fixed := for_list(self._settings.rows_per_page, name, 0):
            return fixed
        clamp = for_list(self._settings.oversize, name, "refuse") == "clamp"
        return paging.page_size(self._paging, self._asked.given, clamp=clamp)

    def _numbers(self, rows: Sequence[int], start: int, size: int) -> Sequence[int]:
        """Return the rows of a page; raise `RefusedError` (404) beyond the end if settings say so."""
        name = self._asked.resource.name
        if start and start >= len(rows):
            match for_list(self._settings.beyond_end, name, "empty"):
                case "missing":
                    raise RefusedError(HTTPStatus.NOT_FOUND, "There is no such page.")
                case "repeat":
                    start = (len(rows) - 1) // size * size
        if self._call.rule.other_order:
            return rows[:size][::-1]
        first = max(start - start // max(size, 1) * for_list(self._settings.row_shift, name, 0), 0)
        return rows[first : first + max(min(size, len(rows) - start), 0)]

    def _empty_pages_so_far(self) -> int | None:
        """Return how many empty pages came before this one; None if it is no empty one."""
        wanted = for_list(self._settings.empty_pages, self._asked.resource.name, 0)
        so_far = int(self._call.query.get(_EMPTY, "0"))
        return so_far if so_far < wanted and self._shape() in _URLS else None

    def _again(self, start: int, size: int, empty: int) -> str:
        """Return a link to the same rows that no page had before."""
        return f"{self._link(start, size)}&{_EMPTY}={empty + 1}"

    @property
    def _of(self) -> str:
        """What a token is good for: the same list with the same filters."""
        asked, how = self._asked, self._paging
        on_the_way = {name.lower() for name in (how.parameter, how.token, how.size, *_SAY_NOTHING)}
        filters = [
            sorted((name, value) for name, value in values.items() if name not in on_the_way)
            for values in (asked.path, asked.given, asked.body)
        ]
        return msgspec.json.encode([asked.resource.name, *filters]).decode()

    def _total(self, rows: int, on_page: int) -> object:
        if self._call.rule.total is not None:
            return self._call.rule.total
        match for_list(self._settings.totals, self._asked.resource.name, "number"):
            case "text":
                return str(rows)
            case "page":
                return on_page
            case _:
                return rows

    def _next(self, rows: int, start: int, size: int) -> _Link:
        name, rule = self._asked.resource.name, self._call.rule
        if rule.replaces_next_link:
            return rule.next_link
        end = for_list(self._settings.end_marker, name, self._asked.resource.end)
        if self._shape() == "none" or (start + size >= rows and (end != "link" or start >= rows)):
            return _END.get(end, "")
        return self._link(max(start + 1, start + size - for_list(self._settings.link_overlap, name, 0)), size)

    def _link(self, after: int, size: int) -> str:
        resource, shape = self._asked.resource, self._shape()
        parameter, value = paging.continuation(self._paging, after, size=size, seal=self._seal, of=self._of)
        if resource.in_body:
            return paging.wrapped(value) if shape == "json" else value
        link = paging.next_link(self._call.request, parameter, value, shape, without=_SAY_NOTHING)
        note = for_list(self._settings.link_note, resource.name, "") if shape in _URLS else ""
        return f"{link}&{_NOTE}={note}" if note else link

    def _shape(self) -> LinkShape:
        resource = self._asked.resource
        shape = for_list(self._settings.link_shape, resource.name, resource.shape)
        return resource.shape if resource.in_body and shape not in _IN_BODY else shape

    def _body(self) -> object:
        resource = self._asked.resource
        source = for_list(self._settings.key_source, resource.name, "sample")
        names = resource.table_keys if source == "table" else {}
        return rekeyed(resource.body, names, for_list(self._settings.key_case, resource.name, "documented"))


def _paging(asked: Asked, settings: Settings) -> Paging:
    """Return the paging of the list as far as settings do not change it."""
    resource = asked.resource
    changes: dict[str, object] = {"default": for_list(settings.page_size, resource.name, resource.paging.default)}
    if name := for_list(settings.token_parameter, resource.name, ""):
        changes |= {"token": name} if resource.paging.token else {}
        changes |= {"parameter": name} if resource.paging.style == "token" else {}
    return msgspec.structs.replace(resource.paging, **changes)
