from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from sandbox.avepoint.items import Family, Origin, Template
from sandbox.avepoint.numbers import Timeline
from sandbox.avepoint.windows import timeline

LinkShape = Literal["absolute", "root-relative", "prefixless", "relative", "token", "json", "none"]
"""How a next link is written; see `paging.next_link`."""

EndMarker = Literal["empty", "null", "absent", "n/a", "false", "link"]
"""What stands in place of a next link on the last page; `link` is one to the page after it."""

LASTS = 7
"""How many minutes jobs and runs last."""

_HERE = Path(__file__).parent
_OBJECTS = Timeline()


class Paging(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """How a list is cut into pages.

    `parameter` says where to go on: with an opaque token, the rows to skip, or a page number counted from `first`.
    `token` is a second parameter, for an opaque token that overrides the page number; links are made for it.
    `size` is the parameter of the page size, `default` rows when absent, `maximum` where one is documented.
    """

    style: Literal["token", "skip", "page", "none"]
    parameter: str = ""
    token: str = ""
    size: str = ""
    default: int = 0
    maximum: int | None = None
    first: int = 0


class Parent(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The list that a call takes values of: for each parameter a field of its items, as `columns.Column` has it.

    The parameters of that list, if it is a child itself, are parameters of the call as well. With `several` each
    parameter takes a list of values.
    """

    resource: str
    by: dict[str, str]
    several: bool = False


class Window(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The parameters of a time filter, how far apart they may be, and how far back a call without a start looks."""

    since: str
    until: str
    longest_days: int | None = None
    default_days: int | None = None


class Resource(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """One documented call.

    `scopes` are alternatives. `keys` tell one item from another. `required` and `tenant` are parameters, `choices`
    those that split a child list further, with the values they take. Parameters that stand in `path` are taken from
    it; the others, paging included, from the query, or from the JSON body where `in_body` is set. `ids` are lists of
    the body that narrow the answer to the items with these values of a field.

    `running` is what fields of a job or run show as long as it has not ended.

    `body` is the answer with the markers `$items` (or `$item` for a call that answers one object), `$total`, `$next`,
    `$page` and `$size`; `table_keys` renames its keys to what the field table of the documents has where that and the
    sample disagree. `item` is the source of a `Template` and holds every documented field; `variants` take turns with
    it.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    scopes: tuple[str, ...]
    paging: Paging
    keys: tuple[str, ...]
    body: object
    item: msgspec.Raw
    variants: tuple[msgspec.Raw, ...] = ()
    required: tuple[str, ...] = ()
    tenant: str | None = None
    in_body: bool = False
    parent: Parent | None = None
    choices: dict[str, tuple[str, ...]] = {}
    window: Window | None = None
    ids: dict[str, str] = {}
    running: dict[str, object] = {}
    shape: LinkShape = "absolute"
    end: EndMarker = "empty"
    table_keys: dict[str, str] = {}

    @property
    def answers_one(self) -> bool:
        return b'"$item"' in msgspec.json.encode(self.body)


class Service(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The resources that share one form of error body (markers `$status`, `$message`, `$requestId`)."""

    error: object
    resources: tuple[Resource, ...]


class Listing(msgspec.Struct, frozen=True, eq=False):
    resource: Resource
    error: object
    seed: int

    def template(self, family: Family | None = None, step: int = 1, lasts: int = LASTS) -> Template:
        """Return the template of the items.

        `step` minutes lie between those of a list with a time filter, and a job or a run `lasts` so many.
        """
        return _template(self, family, timeline(step) if self.resource.window else _OBJECTS, lasts)


def load(seed: int) -> dict[str, Listing]:
    """Return all resources by name, with the items that `seed` stands for."""
    return {
        resource.name: Listing(resource, service.error, seed)
        for service in services()
        for resource in service.resources
    }


@cache
def services() -> tuple[Service, ...]:
    return tuple(
        msgspec.json.decode(file.read_bytes(), type=Service) for file in sorted((_HERE / "resources").glob("*.json"))
    )


@cache
def scopes() -> Mapping[str, str]:
    """Return every scope an app registration can be granted, by its lower-case form."""
    names = msgspec.json.decode((_HERE / "scopes.json").read_bytes(), type=list[str])
    return {name.lower(): name for name in names}


@lru_cache(maxsize=256)
def _template(listing: Listing, family: Family | None, timeline: Timeline, lasts: int) -> Template:
    resource = listing.resource
    items = [msgspec.json.format(bytes(item), indent=-1) for item in (resource.item, *resource.variants)]
    sources = [item.replace(b"+%dm}" % LASTS, b"+%dm}" % lasts) for item in items]
    return Template(resource.name, sources, Origin(listing.seed, timeline, family))
