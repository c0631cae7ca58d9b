"""What is deployed: types, versions, telemetry, and what the next step gets to know."""

import yaml

from sandbox.processes import ROOT
from tests.infra.conftest import DATA, GROUP, NAME, SITE, TABLES, VAULT
from tests.infra.environments import HUB
from tests.infra.snapshot import Snapshot, at, items

VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Consumption/budgets": "2024-08-01",
    "Microsoft.EventGrid/systemTopics": "2025-02-15",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": "2025-02-15",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/activityLogAlerts": "2020-10-01",
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
    "Microsoft.Network/virtualNetworks/subnets": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
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
    "Microsoft.Logic/workflows",
    *(name for name in VERSIONS if name.startswith("Microsoft.Network/")),
}
GIVEN = {
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.OperationalInsights/workspaces",
}


def types(deployment: Snapshot) -> set[str]:
    return {resource.type for resource in deployment.resources}


def test_everything_switched_on_is_all_there_is(private: Snapshot) -> None:
    assert {resource.type: resource.body["apiVersion"] for resource in private.resources} == VERSIONS


def test_what_is_off_is_not_there(public: Snapshot) -> None:
    assert types(public) == VERSIONS.keys() - ON_REQUEST


def test_what_a_company_gives_is_not_made(landing_zone: Snapshot) -> None:
    assert types(landing_zone) == VERSIONS.keys() - ON_REQUEST - GIVEN | {"Microsoft.Network/privateEndpoints"}


def test_nothing_is_hidden_from_a_preview(each: Snapshot) -> None:
    """A module that is counted or named by something that is known later would be left out."""
    assert each.document["diagnostics"] == []


def test_no_name_is_given_twice(each: Snapshot) -> None:
    names = [resource.id for resource in each.resources]
    assert len(names) == len(set(names))


def test_everything_is_in_the_one_group(each: Snapshot) -> None:
    assert not [
        resource.id for resource in each.resources if GROUP not in resource.id and "'rg-test'" not in resource.id
    ]


def test_no_keys_here_either(public: Snapshot) -> None:
    insights = public.one("Microsoft.Insights/components")
    workspace = f"{GROUP}/Microsoft.OperationalInsights/workspaces/log-{NAME}"
    assert (insights.at("DisableLocalAuth"), insights.at("WorkspaceResourceId")) == (True, workspace)
    assert public.one("Microsoft.OperationalInsights/workspaces").at("features.disableLocalAuth") is True


def test_a_workspace_from_outside_takes_all_that_is_logged(landing_zone: Snapshot) -> None:
    workspace = f"{HUB}/Microsoft.OperationalInsights/workspaces/central"
    diagnostics = landing_zone.of_type("Microsoft.Insights/diagnosticSettings")
    assert {found.at("workspaceId") for found in diagnostics} == {workspace}
    assert landing_zone.one("Microsoft.Insights/components").at("WorkspaceResourceId") == workspace


def test_somebody_is_told(private: Snapshot) -> None:
    receivers = items(private.one("Microsoft.Insights/actionGroups").at("emailReceivers"))
    assert [at(receiver, "emailAddress") for receiver in receivers] == ["records@contoso.com", "it@contoso.com"]


def test_money_has_a_limit_where_one_is_given(private: Snapshot) -> None:
    budget = private.one("Microsoft.Consumption/budgets")
    assert (budget.at("amount"), budget.at("timeGrain")) == (50, "Monthly")
    assert budget.at("timePeriod") == {"startDate": "2027-01-01"}
    assert budget.at("notifications.spent.contactGroups") == [f"{GROUP}/Microsoft.Insights/actionGroups/ag-{NAME}"]


def test_outputs_carry_what_the_next_step_needs(public: Snapshot) -> None:
    expected = {
        "AZURE_RESOURCE_GROUP": "rg-test",
        "FUNCTION_APP_NAME": SITE,
        "KEY_VAULT_NAME": VAULT,
        "DATA_STORAGE_ACCOUNT": DATA,
        "TABLES_STORAGE_ACCOUNT": TABLES,
        "EVIDENCE_CONTAINER": "opus-evidence",
    }
    assert expected.items() <= public.outputs.items()
    assert f"/id-{NAME}'" in str(public.outputs["IDENTITY_PRINCIPAL_ID"])
    assert "https://" in str(public.outputs["FUNCTION_APP_URL"])


def test_names_of_a_company(landing_zone: Snapshot) -> None:
    accounts = {account.name for account in landing_zone.of_type("Microsoft.Storage/storageAccounts")}
    assert accounts == {"stopushostprd", "stopusdataprd", "stopustablesprd"}
    assert landing_zone.one("Microsoft.KeyVault/vaults").name == "kv-opus-prd"
    assert landing_zone.one("Microsoft.Web/sites").name == "func-opus-prd"


def test_every_resource_that_takes_tags_has_them(landing_zone: Snapshot) -> None:
    tags = {"owner": "records", "costcenter": "4711", "azd-env-name": "test"}
    tagged = [resource for resource in landing_zone.resources if "location" in resource.body]
    assert tagged
    assert [one.id for one in tagged for name, value in tags.items() if at(one.body, f"tags.{name}") != value] == []


def test_azd_finds_the_app_by_its_tag(public: Snapshot) -> None:
    azd = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert azd["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    assert azd["services"].keys() == {"app"}
    assert public.named(SITE).body["tags"] == {"azd-env-name": "test", "azd-service-name": "app"}
