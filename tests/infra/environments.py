"""The variables of three deployments, whose snapshots are committed: everybody's, a closed one, and a company's."""

from typing import Final

type Environment = dict[str, str]

ADMINISTRATORS = "11111111-1111-4111-8111-111111111111"
READERS = "22222222-2222-4222-8222-222222222222"
CALLERS = "33333333-3333-4333-8333-333333333333"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
HUB = "/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/hub/providers"
SECRET = "not-for-any-snapshot"

REQUIRED: Environment = {
    "AZURE_ENV_NAME": "test",
    "AVEPOINT_DATA_CENTER": "we",
    "AVEPOINT_CLIENT_ID": "avepoint-client",
}
_WITH_SECRET: Environment = REQUIRED | {
    "AVEPOINT_CLIENT_SECRET": SECRET,
    "AVEPOINT_CLIENT_SECRET_EXPIRES_ON": "2027-01-31",
    "AZURE_PRINCIPAL_ID": ADMINISTRATORS,
    "AZURE_PRINCIPAL_TYPE": "Group",
}
PUBLIC: Environment = _WITH_SECRET
PRIVATE: Environment = _WITH_SECRET | {
    "NETWORK": "private",
    "NAT_GATEWAY_ID": f"{HUB}/Microsoft.Network/natGateways/nat",
    "ENTRA_CLIENT_ID": CALLERS,
    "ALLOWED_IP_RANGES": "203.0.113.0/24, 198.51.100.7",
    "READERS_PRINCIPAL_ID": READERS,
    "ALERT_EMAILS": "records@contoso.com, it@contoso.com",
    "MONTHLY_BUDGET": "50",
    "MONTHLY_BUDGET_FROM": "2027-01-01",
    "SNAPSHOT_EVENTS": "true",
    "SAMPLE_LOGIC_APP": "true",
    "UPDATE_STRATEGY": "RollingUpdate",
    "ZONE_REDUNDANT": "true",
    "DISABLED_FUNCTIONS": "harvest_elements, destroy_records",
    "APP_SETTINGS": """{
        "HARVEST_GRAPH_DATASETS": "enpower-*", "HARVEST_PAGE_SIZE": 500, "SWEEP_SCHEDULE": "0 */5 * * * *"
    }""",
}
LANDING_ZONE: Environment = _WITH_SECRET | {
    "NETWORK": "private",
    "APP_SUBNET_ID": f"{HUB}/Microsoft.Network/virtualNetworks/spoke/subnets/functions",
    "ENDPOINT_SUBNET_ID": f"{HUB}/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints",
    "PRIVATE_DNS_ZONE_IDS": "none",
    "ASSIGN_ROLES": "false",
    "IDENTITY_ID": f"{HUB}/Microsoft.ManagedIdentity/userAssignedIdentities/opus",
    "WORKSPACE_ID": f"{HUB}/Microsoft.OperationalInsights/workspaces/central",
    "STORAGE_ENCRYPTION": "double",
    "RESOURCE_NAMES": "app=func-opus-prd,vault=kv-opus-prd,"
    "host=stopushostprd,data=stopusdataprd,tables=stopustablesprd",
    "TAGS": "owner=records,costcenter=4711",
    "RETENTION_DAYS": "evidence=3650,raw=180",
}
ENVIRONMENTS: Final = {"public": PUBLIC, "private": PRIVATE, "landing-zone": LANDING_ZONE}
