"""What the stand-in makes of a deployment: the resources and outputs that the compiler says it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.infra.azure.management import Body, Management, text_outputs
from tests.infra.azure.server import Standin
from tests.infra.azure.subscription import GROUP_ID
from tests.infra.compiler import snapshot
from tests.infra.snapshot import Snapshot

_OF_THE_COMPILER: Final = ("apiVersion", "condition", "dependsOn")


@dataclass
class Deployments:
    """Deployments into the group of the snapshots.

    Attributes:
        variables: Those of the deployment that is under way: Azure itself would evaluate the template.
        refusals: How many packages are still refused, as while roles spread.
        published: The query of each package that was taken.
    """

    azure: Standin
    variables: Mapping[str, str]
    refusals: int = 0
    published: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.azure.management.on_write = self._written
        self.azure.management.actions["whatIf"] = self._what_if
        self.azure.management.actions["list"] = lambda _path, _body: {"properties": {}}  # app settings
        self.azure.management.actions["listkeys"] = lambda _path, _body: {"masterKey": "master"}
        self.azure.services |= {".scm.sites.azure.test": self._scm, ".sites.azure.test": self._site}

    def _written(self, path: str, body: Body) -> Body:
        if "/Microsoft.Resources/deployments/" not in path:
            return body
        come_to = snapshot(self.variables)
        seed(self.azure.management, come_to)
        outputs = {name: str(value) for name, value in come_to.outputs.items() if isinstance(value, str)}
        outputs["FUNCTION_APP_URL"] = f"https://{outputs['FUNCTION_APP_NAME']}.sites.azure.test"
        return {
            "properties": {
                "provisioningState": "Succeeded",
                "timestamp": datetime.now(UTC).isoformat(),
                "outputs": text_outputs(outputs),
            }
        }

    def _what_if(self, _path: str, _body: Body) -> Body:
        known = self.azure.management.resources
        changes = [
            _change(resource_id, known.get(resource_id.lower()), resource)
            for resource_id, resource in _resources(snapshot(self.variables)).items()
        ]
        return {"status": "Succeeded", "properties": {"changes": changes}}

    async def _scm(self, request: Request) -> Response:
        if request.method == "POST":
            await request.body()
            if self.refusals:
                self.refusals -= 1
                return Response("roles are still on their way", status_code=403)
            self.published.append(request.url.query)
            return Response("id", status_code=202)
        return JSONResponse({"status": 4})

    async def _site(self, request: Request) -> Response:
        return (
            JSONResponse({}) if request.url.path in {"/api/health", "/admin/host/status"} else Response(status_code=404)
        )


def seed(management: Management, come_to: Snapshot) -> None:
    """Let everything that a snapshot holds be there."""
    for resource_id, resource in _resources(come_to).items():
        management.put(resource_id, **resource)


def _resources(come_to: Snapshot) -> dict[str, Body]:
    """The resources as Azure keeps them: what only the compiler says is left out, what Azure adds is added."""
    found = {one.id: {key: one.body[key] for key in one.body.keys() - _OF_THE_COMPILER} for one in come_to.resources}
    kept: dict[str, Body] = {resource_id: dict(body) for resource_id, body in found.items() if resource_id[0] == "/"}
    for body in kept.values():
        if body["type"] == "Microsoft.Web/sites":
            host = f"{body['name']}.sites.azure.test"
            scm = f"{body['name']}.scm.sites.azure.test"
            body["properties"] |= {
                "sku": "FlexConsumption",
                "defaultHostName": host,
                "hostNameSslStates": [
                    {"name": host, "hostType": "Standard"},
                    {"name": scm, "hostType": "Repository"},
                ],
            }
    return kept


def _change(resource_id: str, before: Body | None, after: Body) -> Body:
    if before is None:
        return {"resourceId": resource_id, "changeType": "Create", "after": after}
    delta = list(_paths("", before, {"id": before["id"]} | after))
    return {"resourceId": resource_id, "changeType": "Modify" if delta else "NoChange", "delta": delta}


def _paths(above: str, before: Body, after: Body) -> list[Body]:
    """The paths that differ, each with both values."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _paths(f"{above}{name}.", old, new)
        elif old != new:
            found.append({"path": f"{above}{name}", "propertyChangeType": "Modify", "before": old, "after": new})
    return found


def functions(azure: Standin, site: str, names: list[str]) -> None:
    """Let the app have these functions."""
    for name in names:
        azure.management.put(f"{GROUP_ID}/providers/Microsoft.Web/sites/{site}/functions/{name}", name=f"{site}/{name}")
