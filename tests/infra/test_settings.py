"""The settings in Bicep and those in code are the same set, of the same kinds."""

import pytest

from shared.settings import Settings, load_settings
from shared.storage import Container, Queue
from tests.infra.bicep import INFRA, properties, read, text
from tests.infra.conftest import REQUIRED
from tests.infra.deployment import Deployment, Value, at, deploy

SCHEMA = Settings.model_json_schema()
CHOSEN = {
    name: text(node)
    for name, node in properties(
        read(INFRA / "modules/settings.bicep").of_kind("type")["appSettings"].node.named_children[-1]
    ).items()
}
ON_A_LAPTOP_ONLY = {"INVENTORY_STORAGE", "AVEPOINT_CLIENT_SECRET", "OPUS_CLIENT_SECRET", "ELEMENTS_CLIENT_SECRET"}
OF_THE_HOST = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "PYTHON_ENABLE_OPENTELEMETRY",
}
# https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
REFUSED_BY_FLEX_CONSUMPTION = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL",
}

# Only Azure knows these.
ADDRESSES = {
    "INVENTORY_STORAGE__blobServiceUri": "https://data.blob.core.windows.net/",
    "INVENTORY_STORAGE__queueServiceUri": "https://data.queue.core.windows.net/",
    "KEY_VAULT_URL": "https://kv.vault.azure.net/",
}


def deployed(deployment: Deployment) -> dict[str, str]:
    """The app settings of the function app."""
    (found,) = (resource for resource in deployment.resources if resource.name.endswith("/appsettings"))
    properties_ = found.body["properties"]
    assert isinstance(properties_, dict)
    return {name: str(value) for name, value in properties_.items()}


def bicep_type(name: str) -> str:
    """How a setting has to be written in Bicep, which has no fractions: its kind, and whether it may be left out."""
    schema = SCHEMA["properties"][name]
    kinds = [option["type"] for option in schema.get("anyOf", [schema]) if option["type"] != "null"]
    kind = {"boolean": "bool", "integer": "int", "number": "int"}.get(kinds[0], "string")
    return kind if name in SCHEMA["required"] else f"{kind}?"


def test_the_same_set(plain: Deployment) -> None:
    by_deployment = deployed(plain).keys() - CHOSEN.keys() - OF_THE_HOST
    assert CHOSEN.keys() | by_deployment | ON_A_LAPTOP_ONLY == SCHEMA["properties"].keys()
    assert by_deployment.isdisjoint(ON_A_LAPTOP_ONLY)


@pytest.mark.parametrize("name", CHOSEN)
def test_the_same_kind(name: str) -> None:
    assert CHOSEN[name] == bicep_type(name)


def test_the_host_gets_its_own(either: Deployment) -> None:
    settings = deployed(either)
    assert settings.keys() >= OF_THE_HOST
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    client_id = settings["AzureWebJobsStorage__clientId"]
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"ClientId={client_id};Authorization=AAD"


def test_nothing_that_flex_consumption_refuses(either: Deployment) -> None:
    assert deployed(either).keys().isdisjoint(REFUSED_BY_FLEX_CONSUMPTION)


def test_the_app_takes_what_is_deployed(either: Deployment) -> None:
    settings = load_settings(deployed(either) | ADDRESSES)
    assert settings.storage_credential == "managedidentity"
    assert settings.data_center_code == "we"


def test_what_is_chosen_arrives_and_the_rest_is_left_to_the_app() -> None:
    required = REQUIRED["settings"]
    assert isinstance(required, dict)
    chosen: dict[str, Value] = {
        "OPUS_DESTROY_ENABLED": True,
        "HARVEST_PAGE_SIZE": 500,
        "HARVEST_GRAPH_DATASETS": "",
        "OPUS_API": None,
    }
    given = deployed(deploy(REQUIRED | {"settings": required | chosen}))
    settings = load_settings(given | ADDRESSES)
    assert (settings.opus_destroy_enabled, settings.page_size, settings.graph_datasets) == (True, 500, ())
    assert "OPUS_API" not in given


@pytest.mark.parametrize(("variant", "mode"), [("plain", "key"), ("full", "entra")])
def test_the_mode_follows_easy_auth(variant: str, mode: str, request: pytest.FixtureRequest) -> None:
    deployment: Deployment = request.getfixturevalue(variant)
    (easy_auth,) = (found for found in deployment.resources if found.name.endswith("/authsettingsV2"))
    assert deployed(deployment)["AUTH_MODE"] == mode
    assert at(easy_auth.body, "properties.platform.enabled") is (mode == "entra")


def test_storage_is_there_before_the_app_asks_for_it(plain: Deployment) -> None:
    service = "Microsoft.Storage/storageAccounts"
    containers = {found.name.rpartition("/")[2] for found in plain.of_type(f"{service}/blobServices/containers")}
    queues = {found.name.rpartition("/")[2] for found in plain.of_type(f"{service}/queueServices/queues")}
    assert containers - {"app-package"} == set(Container)
    assert queues == {name for queue in Queue for name in (queue, f"{queue}-poison")}
