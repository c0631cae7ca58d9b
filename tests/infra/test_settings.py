"""The app settings that are deployed, those that APP_SETTINGS takes, and those in code."""

import json

import pytest

from sandbox.processes import ROOT
from shared.azure.storage import Container, Queue
from shared.settings import Settings, load_settings
from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot

SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}
NAMES: dict[str, list[str]] = json.loads((INFRA / "app-settings.json").read_text())
PROXIES = {"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}
HOST_ALONE = {"AzureWebJobsStorage"}  # a connection string, which nobody may give
OF_THE_HOST = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__accountName",
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
    "TABLES_STORAGE__blobServiceUri": "https://tables.blob.core.windows.net/",
    "KEY_VAULT_URL": "https://kv.vault.azure.net/",
}


def deployed(deployment: Snapshot) -> dict[str, str]:
    """The app settings of the function app."""
    (found,) = (resource for resource in deployment.resources if resource.name.endswith("/appsettings"))
    properties = found.body["properties"]
    assert isinstance(properties, dict)
    return {name: str(value) for name, value in properties.items()}


class TestNames:
    def test_every_setting_of_the_app_can_be_given_or_is_refused_with_a_reason(self) -> None:
        assert {name for names in NAMES.values() for name in names} - HOST_ALONE == SETTINGS | PROXIES | OF_THE_HOST

    def test_none_is_in_two_lists(self) -> None:
        names = [name for listed in NAMES.values() for name in listed]
        assert len(names) == len(set(names))

    def test_what_the_deployment_computes_is_what_it_refuses(self, public: Snapshot) -> None:
        given = {
            "AVEPOINT_DATA_CENTER",
            "AVEPOINT_CLIENT_ID",
            *(n for n in deployed(public) if n.endswith("_SCHEDULE")),
        }
        assert deployed(public).keys() - given == set(NAMES["computed"]) - HOST_ALONE

    def test_settings_with_a_variable_of_their_own(self) -> None:
        read = (INFRA / "main.bicepparam").read_text()
        assert [name for name in NAMES["variables"] if f"readEnvironmentVariable('{name}'" not in read] == []

    def test_secrets_and_connection_strings_are_refused(self) -> None:
        secret = {name for name in SETTINGS if name.endswith(("_CLIENT_SECRET", "_STORAGE"))}
        assert secret <= set(NAMES["secret"])

    def test_what_can_be_given_is_documented(self) -> None:
        page = (ROOT / "docs" / "configuration.md").read_text()
        assert [name for name in NAMES["chosen"] if f"`{name}`" not in page] == []


class TestDeployed:
    def test_the_host_gets_its_own(self, each: Snapshot) -> None:
        settings = deployed(each)
        assert settings.keys() >= OF_THE_HOST
        assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
        client_id = settings["AzureWebJobsStorage__clientId"]
        assert "userAssignedIdentities" in client_id
        assert client_id.strip("[]") in settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]

    def test_nothing_that_flex_consumption_refuses(self, each: Snapshot) -> None:
        assert deployed(each).keys().isdisjoint(REFUSED_BY_FLEX_CONSUMPTION)

    def test_the_app_takes_what_is_deployed(self, each: Snapshot) -> None:
        settings = load_settings(deployed(each) | ADDRESSES)
        assert settings.storage_credential == "managedidentity"
        assert settings.data_center_code == "we"

    def test_what_is_chosen_arrives_and_the_rest_is_left_to_the_app(self, private: Snapshot) -> None:
        settings = load_settings(deployed(private) | ADDRESSES)
        assert (settings.page_size, settings.graph_datasets) == (500, ("enpower-*",))
        assert "OPUS_API" not in deployed(private)

    def test_it_wins_over_the_defaults_of_the_template(self, public: Snapshot, private: Snapshot) -> None:
        assert deployed(public)["SWEEP_SCHEDULE"] == "0 */10 * * * *"
        assert deployed(private)["SWEEP_SCHEDULE"] == "0 */5 * * * *"

    def test_functions_that_do_not_run(self, private: Snapshot) -> None:
        disabled = {name: value for name, value in deployed(private).items() if name.endswith(".Disabled")}
        assert disabled == {
            "AzureWebJobs.destroy_records.Disabled": "true",
            "AzureWebJobs.harvest_elements.Disabled": "true",
        }

    @pytest.mark.parametrize(("variant", "mode"), [("public", "key"), ("private", "entra")])
    def test_the_mode_follows_easy_auth(self, variant: str, mode: str, request: pytest.FixtureRequest) -> None:
        deployment: Snapshot = request.getfixturevalue(variant)
        (easy_auth,) = (found for found in deployment.resources if found.name.endswith("/authsettingsV2"))
        assert deployed(deployment)["AUTH_MODE"] == mode
        assert easy_auth.at("platform.enabled") is (mode == "entra")

    def test_storage_is_there_before_the_app_asks_for_it(self, public: Snapshot) -> None:
        service = "Microsoft.Storage/storageAccounts"
        containers = {found.name.rpartition("/")[2] for found in public.of_type(f"{service}/blobServices/containers")}
        queues = {found.name.rpartition("/")[2] for found in public.of_type(f"{service}/queueServices/queues")}
        assert containers - {"app-package"} >= set(Container)
        assert queues >= {name for queue in Queue for name in (queue, f"{queue}-poison")}
