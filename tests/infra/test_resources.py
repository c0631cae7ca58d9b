"""What is deployed: types, versions, telemetry, and what the next step gets to know."""

import yaml

from tests.infra.bicep import ROOT
from tests.infra.conftest import APP, DATA, SITE, VAULT
from tests.infra.deployment import Deployment, Value, at, items

VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Consumption/budgets": "2024-08-01",
    "Microsoft.EventGrid/systemTopics": "2025-02-15",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": "2025-02-15",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.KeyVault/vaults": "2024-11-01",
    "Microsoft.KeyVault/vaults/secrets": "2024-11-01",
    "Microsoft.Logic/workflows": "2019-05-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/networkSecurityGroups": "2025-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2025-04-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-06-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": "2025-06-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2025-06-01",
    "Microsoft.Storage/storageAccounts/queueServices": "2025-06-01",
    "Microsoft.Storage/storageAccounts/queueServices/queues": "2025-06-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
}
ON_REQUEST = {
    "Microsoft.Consumption/budgets",
    "Microsoft.KeyVault/vaults/secrets",
    "Microsoft.Logic/workflows",
    *(name for name in VERSIONS if name.startswith("Microsoft.Network/")),
}


def test_everything_switched_on_is_all_there_is(full: Deployment) -> None:
    assert {resource.type: resource.version for resource in full.resources} == VERSIONS


def test_what_is_off_is_not_there(plain: Deployment) -> None:
    assert {resource.type for resource in plain.resources} == VERSIONS.keys() - ON_REQUEST


def test_no_name_is_given_twice(either: Deployment) -> None:
    names = [(resource.type, resource.name, str(resource.body.get("scope"))) for resource in either.resources]
    assert len(names) == len(set(names))


def test_one_identity(either: Deployment) -> None:
    assert len(either.of_type("Microsoft.ManagedIdentity/userAssignedIdentities")) == 1


def test_no_keys_here_either(either: Deployment) -> None:
    insights = either.one("Microsoft.Insights/components")
    workspace = "Microsoft.OperationalInsights/workspaces/log-test-abcde"
    assert (insights.at("DisableLocalAuth"), insights.at("WorkspaceResourceId")) == (True, workspace)
    assert either.one("Microsoft.OperationalInsights/workspaces").at("features.disableLocalAuth") is True


def test_somebody_is_told(full: Deployment) -> None:
    (receiver,) = items(full.one("Microsoft.Insights/actionGroups").at("emailReceivers"))
    assert at(receiver, "emailAddress") == "records@contoso.com"


def test_money_has_a_limit_where_one_is_given(full: Deployment) -> None:
    budget = full.one("Microsoft.Consumption/budgets")
    assert (budget.at("amount"), budget.at("timeGrain")) == (50, "Monthly")
    assert budget.at("notifications.spent.contactGroups") == ["Microsoft.Insights/actionGroups/ag-test-abcde"]


def test_outputs_carry_what_the_next_step_needs(either: Deployment) -> None:
    expected: dict[str, Value] = {
        "AZURE_RESOURCE_GROUP": "rg-test",
        "FUNCTION_APP_NAME": SITE,
        "KEY_VAULT_NAME": VAULT,
        "DATA_STORAGE_ACCOUNT": DATA,
        "EVIDENCE_CONTAINER": "opus-evidence",
        "IDENTITY_PRINCIPAL_ID": APP,
    }
    assert expected.items() <= either.outputs.items()
    assert str(either.outputs["FUNCTION_APP_URL"]).startswith("https://")


def test_azd_finds_the_app_by_its_tag(either: Deployment) -> None:
    azd = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert azd["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    assert azd["services"] == {"app": {"project": ".", "language": "python", "host": "function"}}
    assert either.named(SITE).body["tags"] == {"azd-env-name": "test", "azd-service-name": "app"}
