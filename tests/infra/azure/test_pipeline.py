"""A first deployment, a second one and a preview, as the pipeline does them, with the real compiler."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from tests.infra.azure.cli import CommandLine
from tests.infra.azure.deploying import Deployments, functions
from tests.infra.azure.server import Standin
from tests.infra.azure.subscription import GROUP_ID
from tests.infra.azure.workflow import Run
from tests.infra.compiler import parameters
from tests.infra.environments import PUBLIC, SECRET
from tests.require import require

FUNCTIONS = (ROOT / "infra" / "functions.txt").read_text().split()
SECRETS = {"AVEPOINT_CLIENT_SECRET": SECRET}
# Everything but the secret stands in variables of the repository.
VARIABLES = {name: value for name, value in PUBLIC.items() if name not in SECRETS} | {"ALERT_EMAILS": "it@contoso.com"}


@pytest.fixture
def deployments(azure: Standin) -> Deployments:
    """A group in which nothing is deployed yet."""
    resources = azure.management.resources
    history = f"{GROUP_ID.lower()}/providers/microsoft.resources/deployments/"
    for resource_id in [key for key in resources if key.startswith(history)]:
        del resources[resource_id]
    return Deployments(azure, PUBLIC | VARIABLES)


@pytest.fixture
def package() -> Iterator[None]:
    """What the job before has left."""
    (ROOT / "package.zip").write_bytes(b"PK")
    yield
    (ROOT / "package.zip").unlink()


@pytest.fixture
def run(quick: CommandLine, tmp_path: Path) -> Run:
    require("bicep", why="`az bicep install` fetches it")
    return Run(quick, tmp_path, VARIABLES, SECRETS)


@pytest.mark.usefixtures("package")
async def test_a_first_deployment_a_second_and_one_that_weakens(
    run: Run, azure: Standin, deployments: Deployments
) -> None:
    # The preview looks, and changes nothing.
    preview = await run.job("preview")
    assert preview.status == 0, preview.output + preview.errors
    assert {seen.split("/")[-1] for seen in azure.management.writes} <= {"whatIf"}
    assert "| Create | `Microsoft.KeyVault/vaults/" in run.summary
    assert "| ALERT_EMAILS | it@contoso.com |" in run.summary

    # Somebody agrees.
    infrastructure = await run.job("infrastructure")
    assert infrastructure.status == 0, infrastructure.output + infrastructure.errors
    (sent,) = [seen for seen in azure.management.log if seen.method == "PUT"]
    assert sent.path.endswith("/deployments/test-1-1")
    assert sent.body is not None
    given = {name: one.get("value") for name, one in sent.body["properties"]["parameters"].items()}
    assert {name: value for name, value in given.items() if value is not None} == parameters(PUBLIC | VARIABLES)
    assert run.outputs["group"] == "rg-test"

    # The roles are not there yet when the package comes for the first time.
    functions(azure, run.outputs["app"], FUNCTIONS)
    deployments.refusals = 1
    app = await run.job("app")
    assert app.status == 0, app.output + app.errors
    assert deployments.published == ["RemoteBuild=true&Deployer=az_cli"]
    assert f"All {len(FUNCTIONS)} functions are there" in app.output

    # Nothing has changed since.
    (run.folder / "summary").unlink()
    preview = await run.job("preview")
    assert preview.status == 0, preview.output + preview.errors
    assert "Nothing." in run.summary

    # Somebody deploys with fewer variables.
    run.variables = {name: value for name, value in VARIABLES.items() if name != "ALERT_EMAILS"}
    for job in ("preview", "infrastructure"):
        stopped = await run.job(job)
        assert stopped.status == 1
        assert stopped.output.startswith("ALERT_EMAILS: it@contoso.com would no longer be told")

    # A change is shown path by path.
    (run.folder / "summary").unlink()
    run.variables, run.number = VARIABLES | {"MAXIMUM_INSTANCES": "80"}, 2
    deployments.variables = PUBLIC | run.variables
    assert (await run.job("preview")).status == 0
    assert "`properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount`: 40 → 80" in run.summary
    assert (await run.job("infrastructure")).status == 0

    # The secret went to Azure, and nowhere else.
    assert json.dumps(given).count(SECRET) == 1
    for text in (run.summary, preview.output, infrastructure.output, infrastructure.errors, app.output, app.errors):
        assert SECRET not in text


@pytest.mark.usefixtures("package")
async def test_a_package_that_was_built_beforehand(run: Run, azure: Standin, deployments: Deployments) -> None:
    run.variables = VARIABLES | {"PACKAGE": "built"}
    assert (await run.job("infrastructure")).status == 0
    functions(azure, run.outputs["app"], FUNCTIONS)
    deployments.refusals = 1
    app = await run.job("app")
    assert app.status == 0, app.output + app.errors
    assert deployments.published == ["RemoteBuild=false&Deployer=az_cli"]
