from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import EllipsisType

from sandbox.avepoint import paging
from sandbox.avepoint.bodies import Page
from sandbox.avepoint.catalog import Listing, Resource
from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.settings import EndMarker, for_list
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.wire import Answer, Call, RefusedError

_END: Mapping[EndMarker, str | EllipsisType | None] = {"empty": "", "null": None, "absent": ...}


def list_handler(avepoint: AvePoint, listing: Listing) -> Callable[[Call], Awaitable[Answer]]:
    """Return the handler that serves a resource of the catalogue."""
    resource = listing.resource

    async def serve(call: Call) -> Answer:
        avepoint.identity.require(call.request, resource.scopes)
        if resource.method == "POST" and await call.request.body():
            await call.document()
        _require(call.query, resource)
        page = _page(avepoint, listing, call)
        return Answer(HTTPStatus.OK, page, items=len(page.indices))

    return serve


def _page(avepoint: AvePoint, listing: Listing, call: Call) -> Page:
    resource, query, rule = listing.resource, call.query, call.rule
    of_tenant = query.get(resource.tenant.lower()) if resource.tenant else None
    count = rule.items if rule.items is not None else avepoint.item_count(resource.name)
    rows = _rows(count, of_tenant)
    size = len(rows) if resource.paging.style == "none" else paging.page_size(resource.paging, query)
    of = f"{resource.name}/{of_tenant or ''}"
    start = paging.offset(resource.paging, query, size=size, seal=avepoint.seal, of=of)
    end = start + size
    link: str | EllipsisType | None = _END[for_list(avepoint.settings.end_marker, resource.name, "empty")]
    if end < len(rows):
        value = paging.continuation(resource.paging, end, size=size, seal=avepoint.seal, of=of)
        shape = for_list(avepoint.settings.link_shape, resource.name, resource.shape)
        link = paging.next_link(call.request, resource.paging.parameter, value, shape)
    return Page(
        listing=listing,
        indices=rows[start:end],
        total=len(rows) if rule.total is None else rule.total,
        next_link=rule.next_link if rule.replaces_next_link else link,
        number=start // max(size, 1) + resource.paging.first,
        size=size,
    )


def _rows(count: int, tenant: str | None) -> range:
    if tenant is None:
        return range(count)
    if tenant.lower() not in TENANTS:
        return range(0)
    return range(TENANTS.index(tenant.lower()), count, len(TENANTS))


def _require(query: Mapping[str, str], resource: Resource) -> None:
    for name in resource.required:
        if not query.get(name.lower()):
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} is required.")
