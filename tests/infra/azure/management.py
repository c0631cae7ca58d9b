"""A stand-in of Azure Resource Manager: whatever has an id lies in one dictionary, and every request in a log."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000001"  # that of the snapshots
TENANT: Final = "00000000-0000-0000-0000-000000000002"

type Body = dict[str, Any]  # as deep as Azure has it
type Action = Callable[[str, Body], Body]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    body: Body | None


@dataclass
class Management:
    """A subscription. Resources are found by id in whatever case; a collection is what lies one step below it.

    Attributes:
        resources: By id in lower case.
        actions: What a POST answers, by the last part of its path; nothing by default.
        refused: Paths, by a part of them, that are answered 403.
        on_write: Told of each resource that is written, before it is kept.
    """

    resources: dict[str, Body] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    on_write: Callable[[str, Body], Body] = lambda _, body: body
    log: list[Seen] = field(default_factory=list)

    def put(self, resource_id: str, **body: object) -> None:
        """Keep a resource, with the id and name that its path says."""
        named = {"id": resource_id, "name": resource_id.rpartition("/")[2]} | body
        self.resources[resource_id.lower()] = named

    @property
    def writes(self) -> list[str]:
        """Every request that is more than reading."""
        return [f"{seen.method} {seen.path}" for seen in self.log if seen.method not in {"GET", "HEAD"}]

    async def answer(self, request: Request) -> Response:
        """Answer as Azure Resource Manager does."""
        path, raw = request.url.path.rstrip("/"), await request.body()
        body = parsed(raw)
        self.log.append(Seen(request.method, path, body))
        if any(part.lower() in path.lower() for part in self.refused):
            return fault(403, "AuthorizationFailed", f"The client has no authorization to perform this on {path}.")
        match request.method:
            case "GET" | "HEAD":
                return self._read(path)
            case "PUT" | "PATCH":
                return self._write(path, body or {})
            case "DELETE":
                self.resources.pop(path.lower(), None)
                return Response(status_code=204 if "/functions/" in path else 200)
            case _:
                action = self.actions.get(path.rpartition("/")[2])
                return JSONResponse(action(path, body or {}) if action else {})

    def _read(self, path: str) -> Response:
        if found := self.resources.get(path.lower()):
            return JSONResponse(found)
        root, _, kind = path.lower().partition("/providers/")
        everywhere = root.count("/") == 2 and kind.count("/") == 1  # a kind of resources, of all groups
        below = [
            one
            for key, one in self.resources.items()
            if (above := key.rpartition("/")[0]) == path.lower()
            or (everywhere and above.endswith(f"/providers/{kind}"))
        ]
        if below or is_collection(path):
            return JSONResponse({"value": below})
        code = "ResourceGroupNotFound" if path.lower().split("/")[-2] == "resourcegroups" else "ResourceNotFound"
        return fault(404, code, f"{path.rpartition('/')[2]} could not be found.")

    def _write(self, path: str, body: Body) -> Response:
        known = self.resources.get(path.lower(), {})
        self.put(path, **(known | self.on_write(path, body)))
        return JSONResponse(self.resources[path.lower()], status_code=200 if known else 201)


def parsed(raw: bytes) -> Body | None:
    """Read a body; az sends the name of a template without quotes, and Azure takes it."""
    body: Body | None = json.loads(raw.replace(b", template:{", b', "template":{', 1)) if raw[:1] == b"{" else None
    return body


def is_collection(path: str) -> bool:
    """Whether a path ends with a kind of things: /subscriptions/S/resourceGroups, …/providers/N/kind/name/kind."""
    before, found, after = path.partition("/providers/")
    parts = (after if found else before.strip("/")).split("/")
    return len(parts) % 2 == (0 if found else 1)


def fault(status: int, code: str, message: str) -> Response:
    """Answer an error in the form of Azure Resource Manager."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


def text_outputs(values: Mapping[str, str]) -> Body:
    """Give outputs as a deployment keeps them: Azure changes the case of their names."""
    return {f"{name[:5].lower()}{name[5:]}": {"type": "String", "value": value} for name, value in values.items()}
