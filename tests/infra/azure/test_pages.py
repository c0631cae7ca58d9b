"""Every command of Azure's command line in the pages is one that it has, spelt as it wants it."""

import shutil
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.docs.fences import PAGES, commands
from tests.infra.azure.cli import CommandLine, installed
from tests.infra.azure.deploying import functions, seed
from tests.infra.azure.management import SUBSCRIPTION, Body, Management
from tests.infra.azure.programs import Programs
from tests.infra.azure.server import Standin
from tests.infra.azure.subscription import GROUP_ID, ROOT_ID, allow
from tests.infra.environments import PUBLIC
from tests.infra.paths import INFRA, SNAPSHOTS
from tests.infra.snapshot import Snapshot

WITH_AZURE = [page for page in PAGES if any("az " in fence.body for fence in commands(page) if fence.needs_azure)]
DEPLOYED = Snapshot.read(SNAPSHOTS / "public.json")
OUTPUTS = {name: value for name, value in DEPLOYED.outputs.items() if isinstance(value, str)}
SITE, VAULT = OUTPUTS["FUNCTION_APP_NAME"], OUTPUTS["KEY_VAULT_NAME"]
SOMEBODY = "5b0ca1ab-0000-4000-8000-00000000000a"
SUCCEEDED: Body = {"provisioningState": "Succeeded", "principalId": SOMEBODY, "clientId": SOMEBODY}


def other_groups(management: Management) -> None:
    """The groups that pages name, where the app of the snapshot is, too."""
    for name in ("rg-avepoint", "rg-prod", "rg-records-prod", "rg-deployers"):
        for key, one in list(management.resources.items()):
            if key.startswith(GROUP_ID.lower()):
                moved = one["id"].replace(GROUP_ID, f"{ROOT_ID}/resourceGroups/{name}")
                management.put(moved, **one | {"id": moved})
        allow(management, ["*"], [])


async def site(request: Request) -> Response:
    return JSONResponse({"status": 4}, status_code=202 if request.method == "POST" else 200)


async def storage(_: Request) -> Response:
    return Response("<EnumerationResults><Blobs/></EnumerationResults>", media_type="application/xml")


async def vault(request: Request) -> Response:
    """Certificates are made at once."""
    begun = request.url.path.endswith("/create")
    thing: Body = {"id": f"https://{request.url.hostname}/secrets/name/1", "value": []}
    thing |= {"status": "completed", "cer": "bm90IG9uZQ=="}
    return JSONResponse(thing, status_code=202 if begun else 200)


async def graph(request: Request) -> Response:
    """One app registration, which is its own service principal."""
    one = {
        "id": SOMEBODY,
        "appId": SOMEBODY,
        "displayName": "app",
        "appRoles": [{"id": SOMEBODY, "value": "Harvest.Start"}],
    }
    listing = request.method == "GET" and request.url.path.rpartition("/")[2] in {"applications", "servicePrincipals"}
    return JSONResponse({"value": [one]} if listing else one)


@pytest.fixture
def everything_there(azure: Standin) -> Standin:
    """What the pages suppose: an app that is deployed, a vault that was deleted, and data planes that answer."""
    management = azure.management
    seed(management, DEPLOYED)
    functions(azure, SITE, ["sweep"])
    other_groups(management)
    deleted: Body = {"vaultId": f"{ROOT_ID}/resourceGroups/rg-avepoint/vaults/{VAULT}", "location": "westeurope"}
    for place in ("deletedVaults", "locations/westeurope/deletedVaults"):
        deleted_id = f"{ROOT_ID}/providers/Microsoft.KeyVault/{place}/{VAULT}"
        management.put(deleted_id, properties=deleted | {"tags": {"azd-env-name": "avepoint"}})
    management.on_write = lambda _, body: body | {"properties": body.get("properties", {}) | SUCCEEDED}
    management.actions["list"] = lambda _path, _body: {"properties": {}}
    management.actions["listkeys"] = lambda _path, _body: {"masterKey": "master", "functionKeys": {"default": "key"}}
    azure.services |= {
        ".sites.azure.test": site,
        ".core.azure.test": storage,
        ".vault.azure.test": vault,
        "graph.azure.test": graph,
    }
    return azure


@pytest.mark.usefixtures("everything_there")
@pytest.mark.parametrize("page", WITH_AZURE, ids=lambda page: page.name)
async def test_commands_of_azure(quick: CommandLine, tmp_path: Path, page: Path) -> None:
    programs = Programs.written(tmp_path, installed(), OUTPUTS)
    config = shutil.copytree(quick.environ["AZURE_CONFIG_DIR"], tmp_path / "config")
    script = "\n".join(fence.body for fence in commands(page) if fence.needs_azure)
    script = script.replace("00000000-0000-0000-0000-000000000000", SUBSCRIPTION).replace(
        "graph.microsoft.com", "graph.azure.test"
    )
    done = await quick.run(
        f"set +eu\ncd {tmp_path}\nln -s {INFRA} infra\n{script}",
        PATH=f"{tmp_path}:{quick.environ['PATH']}",
        AZURE_CONFIG_DIR=str(config),
        **PUBLIC,
        **dict.fromkeys(("UPLOAD_ATTEMPTS", "SMOKE_ATTEMPTS"), "1"),
    )
    failed = [one for one in programs.recorded if one.status]
    assert programs.recorded
    assert failed == [], done.errors
