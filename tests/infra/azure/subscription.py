"""A subscription in which the app is deployed and nothing is wrong, and the variables it was deployed with."""

from typing import Final

from tests.infra.azure.management import SUBSCRIPTION, Body, Management, text_outputs

GROUP: Final = "rg-test"  # that of the snapshots
ROOT_ID: Final = f"/subscriptions/{SUBSCRIPTION}"
GROUP_ID: Final = f"{ROOT_ID}/resourceGroups/{GROUP}"
SITE, VAULT = "func-test-abcde", "kv-abcdefghijklm"
URL: Final = f"https://{SITE}.sites.azure.test"
NETWORK_ID: Final = f"{ROOT_ID}/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"

VARIABLES: Final = {
    "AZURE_ENV_NAME": "test",
    "AZURE_LOCATION": "westeurope",
    "AVEPOINT_DATA_CENTER": "we",
    "AVEPOINT_CLIENT_ID": "client",
    "APP_SETTINGS": '{"HARVEST_GRAPH_DATASETS":"enpower-*"}',
    "ALERT_EMAILS": "records@contoso.example, it@contoso.example",
    "MONTHLY_BUDGET": "50",
    "MONTHLY_BUDGET_FROM": "2026-03-01",
    "ENTRA_CLIENT_ID": "5b0ca1ab-0000-4000-8000-00000000000e",
    "ALLOWED_IP_RANGES": "203.0.113.0/24,198.51.100.7/32,2001:db8::/32",
    "NETWORK": "private",
    "APP_SUBNET_ID": f"{NETWORK_ID}/subnets/app",
    "ENDPOINT_SUBNET_ID": f"{NETWORK_ID}/subnets/endpoints",
    "PRIVATE_DNS_ZONE_IDS": "none",
    "STORAGE_SKU": "Standard_ZRS",
    "STORAGE_ENCRYPTION": "platform",
    "DISABLED_FUNCTIONS": "destroy_records",
    "EVIDENCE_LOCKED": "true",
}
PROVIDERS: Final = (
    *("Microsoft.App", "Microsoft.Authorization", "Microsoft.Consumption", "Microsoft.EventGrid", "Microsoft.Insights"),
    *("Microsoft.KeyVault", "Microsoft.Logic", "Microsoft.ManagedIdentity", "Microsoft.Network"),
    *("Microsoft.OperationalInsights", "Microsoft.Resources", "Microsoft.Storage", "Microsoft.Web"),
)


def settle(azure: Management) -> None:
    """Let the subscription be as it is where nothing is wrong."""
    azure.log.clear()
    azure.refused.clear()
    azure.resources = {key: one for key, one in azure.resources.items() if key == ROOT_ID}
    _offer(azure)
    azure.put(GROUP_ID, location="westeurope")
    azure.put(NETWORK_ID, location="westeurope")
    azure.put(
        VARIABLES["APP_SUBNET_ID"],
        properties={"delegations": [{"properties": {"serviceName": "Microsoft.App/environments"}}]},
    )
    deploy(azure, "prod-1", at="2026-03-02T10:00:00Z", outputs=VARIABLES | {"NETWORK": "public"})
    deploy(azure, "prod-2", at="2026-11-02T10:00:00.5Z", outputs=_outputs())
    deploy(azure, "storage", at="2026-11-02T10:00:01Z", outputs={"ID": "of a module"})
    deploy(azure, "prod-3", at="2026-11-03T10:00:00Z", outputs={}, state="Failed")


def deploy(azure: Management, name: str, *, at: str, outputs: dict[str, str], state: str = "Succeeded") -> None:
    """Keep a deployment of the group."""
    azure.put(
        f"{GROUP_ID}/providers/Microsoft.Resources/deployments/{name}",
        properties={"provisioningState": state, "timestamp": at, "outputs": text_outputs(outputs) or None},
    )


def _outputs() -> dict[str, str]:
    return VARIABLES | {"FUNCTION_APP_NAME": SITE, "FUNCTION_APP_URL": URL, "KEY_VAULT_NAME": VAULT}


def _offer(azure: Management) -> None:
    """Say which regions, providers and rights there are."""
    for place, shown in (("westeurope", "West Europe"), ("westus", "West US"), ("antarctica", "Antarctica")):
        azure.put(f"{ROOT_ID}/locations/{place}", displayName=shown)
    for shown in ("West Europe", "West US"):
        domain = "FUNCTIONS;FCZONEREDUNDANCY" if shown == "West Europe" else "FUNCTIONS"
        azure.put(f"{ROOT_ID}/providers/Microsoft.Web/geoRegions/{shown}", properties={"orgDomain": domain})
    for place, sku in (("westeurope", "Standard_ZRS"), ("westeurope", "Standard_LRS"), ("westus", "Standard_LRS")):
        one: Body = {"name": sku, "kind": "StorageV2", "resourceType": "storageAccounts", "locations": [place]}
        azure.put(f"{ROOT_ID}/providers/Microsoft.Storage/skus/{place}-{sku}", **one)
    for namespace in PROVIDERS:
        azure.put(f"{ROOT_ID}/providers/{namespace}", namespace=namespace, registrationState="Registered")
    allow(azure, ["*"], [])


def allow(azure: Management, actions: list[str], but: list[str]) -> None:
    """Give the caller these rights, on the subscription and the group."""
    for scope in (ROOT_ID, GROUP_ID):
        azure.put(f"{scope}/providers/Microsoft.Authorization/permissions/1", actions=actions, notActions=but)
