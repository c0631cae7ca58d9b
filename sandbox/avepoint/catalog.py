from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from sandbox.avepoint.items import Template

LinkShape = Literal["absolute", "root-relative", "prefixless", "relative", "token", "json"]
"""How a next link is written; see `paging.next_link`."""

_HERE = Path(__file__).parent


class Paging(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """How a list is cut into pages.

    `parameter` says where to go on: with an opaque token, the rows to skip, or a page number counted from `first`.
    `size` is the parameter of the page size, `default` rows when absent, `maximum` where one is documented.
    """

    style: Literal["token", "skip", "page", "none"]
    parameter: str = ""
    size: str = ""
    default: int = 0
    maximum: int | None = None
    first: int = 0


class Resource(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """One documented call.

    `scopes` are alternatives. `required` and `tenant` are query parameters. `keys` tell one item from another.
    `body` is the answer with the markers `$items` (or `$item` for a call that answers one object), `$total`, `$next`,
    `$page` and `$size`; `item` is the source of a `Template` and holds every documented field.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    scopes: tuple[str, ...]
    paging: Paging
    keys: tuple[str, ...]
    body: object
    item: msgspec.Raw
    required: tuple[str, ...] = ()
    tenant: str | None = None
    shape: LinkShape = "absolute"

    @property
    def answers_one(self) -> bool:
        return b'"$item"' in msgspec.json.encode(self.body)


class Service(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The resources that share one form of error body (markers `$status`, `$message`, `$requestId`)."""

    error: object
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    resource: Resource
    template: Template
    error: object


def load(seed: int) -> dict[str, Listing]:
    """Return all resources by name, with templates for the items that `seed` stands for."""
    return {
        resource.name: Listing(resource, Template(resource.name, _compact(resource.item), seed), service.error)
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


def _compact(item: msgspec.Raw) -> bytes:
    return msgspec.json.format(bytes(item), indent=-1)
