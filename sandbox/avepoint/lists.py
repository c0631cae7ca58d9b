from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from itertools import product
from types import EllipsisType

import msgspec

from sandbox.avepoint import paging
from sandbox.avepoint.asked import Asked
from sandbox.avepoint.bodies import Page, around, rekeyed
from sandbox.avepoint.catalog import EndMarker, LinkShape, Listing, Paging
from sandbox.avepoint.families import Families, UnknownParentError
from sandbox.avepoint.holdings import Holdings, Rows
from sandbox.avepoint.items import Family
from sandbox.avepoint.settings import Settings, for_list
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.wire import Answer, Call, RefusedError

_END: Mapping[EndMarker, str | EllipsisType | None] = {"empty": "", "null": None, "absent": ...}
_IN_BODY: tuple[LinkShape, ...] = ("token", "json", "none")


def list_handler(avepoint: AvePoint, listing: Listing) -> Callable[[Call], Awaitable[Answer]]:
    """Return the handler that serves a resource of the catalogue."""
    resource = listing.resource

    async def serve(call: Call) -> Answer:
        avepoint.identity.require(call.request, resource.scopes)
        asked = await Asked.by(call, resource)
        rows = _rows(asked, avepoint.holdings, call.rule.items)
        page = _Cut(asked, call, avepoint.settings, avepoint.seal).page(rows)
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

    def page(self, rows: Rows) -> Page:
        asked, name = self._asked, self._asked.resource.name
        clamp = for_list(self._settings.oversize, name, "refuse") == "clamp"
        one_page = self._paging.style == "none"
        size = len(rows.numbers) if one_page else paging.page_size(self._paging, asked.given, clamp=clamp)
        start = paging.offset(self._paging, asked.given, size=size, seal=self._seal, of=self._of)
        numbers = rows.numbers[start : start + size]
        marks = {
            "$total": self._total(len(rows.numbers), len(numbers)),
            "$next": self._next(len(rows.numbers), start, size),
            "$page": start // max(size, 1) + self._paging.first,
            "$size": size,
        }
        return Page(rows.items, numbers, *around(self._body(), marks))

    @property
    def _of(self) -> str:
        """What a token is good for: the same list with the same filters."""
        asked, how = self._asked, self._paging
        on_the_way = {name.lower() for name in (how.parameter, how.token, how.size)}
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

    def _next(self, rows: int, start: int, size: int) -> str | EllipsisType | None:
        resource, rule = self._asked.resource, self._call.rule
        if rule.replaces_next_link:
            return rule.next_link
        shape = self._shape()
        if start + size >= rows or shape == "none":
            return _END[for_list(self._settings.end_marker, resource.name, resource.end)]
        after = max(start + 1, start + size - for_list(self._settings.link_overlap, resource.name, 0))
        parameter, value = paging.continuation(self._paging, after, size=size, seal=self._seal, of=self._of)
        if resource.in_body:
            return paging.wrapped(value) if shape == "json" else value
        return paging.next_link(self._call.request, parameter, value, shape)

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
