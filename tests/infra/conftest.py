"""What infra/ would deploy, in its variants."""

import runpy

import pytest

from tests.infra.bicep import ROOT
from tests.infra.deployment import Deployment, Value, deploy

APP = "Microsoft.ManagedIdentity/userAssignedIdentities/id-test-abcde.properties.principalId"
HOST, DATA, VAULT, SITE = "sthostabcdefghijklm", "stdataabcdefghijklm", "kv-abcdefghijklm", "func-test-abcde"

REQUIRED: dict[str, Value] = {
    "environmentName": "test",
    "location": "westeurope",
    "settings": {
        "AVEPOINT_DATA_CENTER": "we",
        "AVEPOINT_CLIENT_ID": "client",
        "HARVEST_ENPOWER_SCHEDULE": "0 0 1 * * *",
        "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
        "HARVEST_ELEMENTS_SCHEDULE": "0 0 3 * * *",
        "SWEEP_SCHEDULE": "0 */10 * * * *",
    },
}
EVERYTHING: dict[str, Value] = REQUIRED | {
    "network": "private",
    "entraClientId": "entra",
    "allowedIpRanges": ["203.0.113.0/24", "198.51.100.7/32"],
    "administratorPrincipalId": "administrator",
    "secrets": {"avepoint-client-secret": "secret"},
    "secretsExpireOn": "2027-01-31T00:00:00Z",
    "alertEmails": ["records@contoso.com"],
    "monthlyBudget": 50,
    "sampleLogicApp": True,
}


@pytest.fixture(scope="session")
def plain() -> Deployment:
    """Nothing but what has to be given."""
    return deploy(REQUIRED)


@pytest.fixture(scope="session")
def full() -> Deployment:
    """Everything switched on."""
    return deploy(EVERYTHING)


@pytest.fixture(scope="session", params=[REQUIRED, EVERYTHING], ids=["plain", "full"])
def either(request: pytest.FixtureRequest) -> Deployment:
    """What holds for all of them has to hold for both."""
    return deploy(request.param)


@pytest.fixture(scope="session")
def routes() -> dict[str, str | None]:
    """The functions of the app, with the routes of those that have one."""
    app = runpy.run_path(str(ROOT / "function_app.py"))["app"]  # an app tells its functions only once
    return {
        function.get_function_name(): getattr(function.get_trigger(), "route", None) for function in app.get_functions()
    }
