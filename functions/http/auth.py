"""Who may call which function.

``AUTH_MODE=key``: the host asks for a function key, and whoever has one may call what it opens; principal headers mean
nothing. ``AUTH_MODE=entra``: callers sign in with Microsoft Entra ID and have no key, so the host lets everybody in,
and each function looks for the principal that App Service Authentication put into the request, and for its app roles.
That header can be believed because App Service takes it out of everything that comes from outside, and only as long as
App Service Authentication is on. Where the platform does not say that it is on, nobody is let in.

The mode is read once, at import, because that is when the host learns the level of each route: so host and functions
cannot disagree, and anything but ``entra`` keeps the keys.
"""

import logging
import os
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

import azure.functions as func
from pydantic import BaseModel

from shared.errors import Forbidden, GiveUp
from shared.telemetry.events import log_event

log = logging.getLogger(__name__)

ENTRA: Final = os.environ.get("AUTH_MODE") == "entra"

HOST_LEVEL: Final = func.AuthLevel.ANONYMOUS if ENTRA else func.AuthLevel.FUNCTION
"""What the host asks for before it calls a function."""


class Role(StrEnum):
    """The app roles, as the app registration in Entra ID names them."""

    READ = "Inventory.Read"
    START = "Harvest.Start"
    SUBMIT = "Records.Submit"
    DESTROY = "Records.Destroy"


ANYBODY: Final = None

ROLES: Final[Mapping[str, tuple[Role, ...] | None]] = {
    "start_harvest": (Role.START,),
    "list_runs": (Role.READ,),
    "get_run": (Role.READ, Role.START),
    "resume_run": (Role.START,),
    "cancel_run": (Role.START,),
    "rebuild_table": (Role.START,),
    "list_datasets": (Role.READ,),
    "get_latest": (Role.READ,),
    "list_snapshots": (Role.READ,),
    "get_schema": (Role.READ,),
    "list_items": (Role.READ,),
    "list_changes": (Role.READ,),
    "get_history": (Role.READ,),
    "list_reports": (Role.READ,),
    "get_report": (Role.READ,),
    "on_snapshot": (Role.READ,),
    "on_change": (Role.READ,),
    "submit_records": (Role.SUBMIT,),
    "list_due_records": (Role.SUBMIT, Role.DESTROY),
    "destroy_records": (Role.DESTROY,),
    "list_operations": (Role.READ, Role.DESTROY),
    "get_operation": (Role.READ, Role.SUBMIT, Role.DESTROY),
    "poll_operation": ANYBODY,  # the signed token in its URL says who may
    "cancel_operation": (Role.DESTROY,),
    "resolve_operation": (Role.DESTROY,),
    "health": ANYBODY,
    "health_details": (Role.READ,),
    "get_openapi": tuple(Role),
    "status_page": ANYBODY,
    "status_file": ANYBODY,
}
"""The roles of which a caller needs one, for each HTTP function. Who starts something may also follow it."""

_PRINCIPAL = "x-ms-client-principal"
_IDS = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid", "appid", "azp")


class Unauthenticated(GiveUp):
    """Nothing in the request proves who may make it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who has signed in: the object id, or else the app id, and the app roles."""

    id: str
    roles: frozenset[str]


class _Claim(BaseModel):
    typ: str
    val: str


class _ClientPrincipal(BaseModel):
    """What App Service Authentication hands over about somebody who signed in with Entra ID."""

    auth_typ: Literal["aad"]
    claims: tuple[_Claim, ...]
    role_typ: str | None = None

    def values(self, kinds: Iterable[str | None]) -> list[str]:
        """Return the values of the claims of these types, in the order of the types."""
        return [claim.val for kind in kinds for claim in self.claims if claim.typ == kind and claim.val]


def admit(req: func.HttpRequest, function: str) -> None:
    """Let a request into a function, or refuse it.

    Raises:
        Unauthenticated: Nobody has signed in.
        Forbidden: The caller has none of the roles that the function needs.
    """
    wanted = ROLES[function]
    if not ENTRA or wanted is ANYBODY:
        return
    principal = _principal(req)
    if principal.roles.isdisjoint(wanted):
        log_event(log, "call.forbidden", logging.WARNING, function=function, caller=principal.id)
        raise Forbidden(
            f"this call needs the app role {' or '.join(wanted)}, which the caller does not have",
            remedy="Assign it to the caller in the enterprise application of this app.",
        )


def caller(req: func.HttpRequest) -> str:
    """Who calls, in the words of operations and evidence: ``entra:{id}``, or ``key`` for everybody who has a key.

    Raises:
        Unauthenticated: Nobody has signed in.
    """
    return f"entra:{_principal(req).id}" if ENTRA else "key"


def _principal(req: func.HttpRequest) -> Principal:
    """Who has signed in, by the header that App Service Authentication sets.

    Its form: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
    """
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":  # only App Service sets it
        raise Unauthenticated("App Service Authentication is off", remedy="Switch it on, or set AUTH_MODE to key.")
    try:
        told = _ClientPrincipal.model_validate_json(b64decode(req.headers.get(_PRINCIPAL, ""), validate=True))
        return Principal(told.values(_IDS)[0], frozenset(told.values(("roles", told.role_typ))))
    except (ValueError, IndexError):
        raise Unauthenticated("not signed in", remedy="Send an access token of Microsoft Entra ID.") from None
