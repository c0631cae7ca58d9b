"""The policies of Azure Landing Zones, against what is deployed into one.

The rules are those of Enterprise-Scale, August 2026, with their default effects: first those that are assigned to every
corporate subscription, then those that companies choose. A rule names the variable that satisfies it; without one the
templates always do. What they do not deploy is not here: a certificate that the vault signs itself needs an exemption.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.infra.snapshot import Resource, Snapshot, at

STORAGE, SITE, VAULT = "Microsoft.Storage/storageAccounts", "Microsoft.Web/sites", "Microsoft.KeyVault/vaults"
SUBNET, ZONE = "Microsoft.Network/virtualNetworks/subnets", "Microsoft.Network/privateDnsZones"
ZONE_GROUP = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
WORKSPACE = "Microsoft.OperationalInsights/workspaces"


@dataclass(frozen=True)
class Policy:
    """What a policy denies: resources of a type that are not as it wants them.

    Attributes:
        variable: What has to be set, where the templates alone do not satisfy it.
        denied: A snapshot without that variable.
    """

    name: str
    type: str
    allows: Callable[[Resource], bool]
    variable: str = ""
    denied: str = "public"


def is_closed(resource: Resource) -> bool:
    return resource.at("publicNetworkAccess") == "Disabled"


def has_account_keys(resource: Resource) -> bool:
    return all(resource.at(f"encryption.services.{name}.keyType") == "Account" for name in ("queue", "table"))


def has_end_and_kind(resource: Resource) -> bool:
    return bool(resource.at("contentType") and resource.at("attributes.exp"))


def is_tagged(resource: Resource) -> bool:
    return "location" not in resource.body or at(resource.body, "tags.owner") == "records"


POLICIES = [
    Policy("Deny-PublicPaaSEndpoints", STORAGE, is_closed, "NETWORK"),
    Policy("Deny-PublicPaaSEndpoints", SITE, is_closed, "NETWORK"),
    Policy("Deny-PublicPaaSEndpoints", VAULT, is_closed, "NETWORK"),
    Policy("Deploy-Private-DNS-Zones", ZONE_GROUP, lambda _: False, "PRIVATE_DNS_ZONE_IDS", "private"),
    Policy("Deny-Private-DNS-Zones", ZONE, lambda _: False, "PRIVATE_DNS_ZONE_IDS", "private"),
    Policy("Enforce-Guardrails-Storage", STORAGE, lambda one: one.at("networkAcls.defaultAction") == "Deny", "NETWORK"),
    Policy("Enforce-Guardrails-Storage", STORAGE, lambda one: one.at("networkAcls.bypass") == "None"),
    Policy("Enforce-Guardrails-Storage", STORAGE, lambda one: one.at("allowedCopyScope") in {"AAD", "PrivateLink"}),
    Policy("Enforce-Guardrails-Storage", STORAGE, has_account_keys, "STORAGE_ENCRYPTION"),
    Policy(
        "Enforce-Guardrails-Storage",
        STORAGE,
        lambda one: one.at("encryption.requireInfrastructureEncryption") is True,
        "STORAGE_ENCRYPTION",
    ),
    Policy("Enforce-EncryptTransit", STORAGE, lambda one: one.at("minimumTlsVersion") == "TLS1_2"),
    Policy("Enforce-Guardrails-Network", SUBNET, lambda one: bool(one.at("routeTable.id")), "APP_SUBNET_ID", "private"),
    Policy("Subnets should be private", SUBNET, lambda one: one.at("defaultOutboundAccess") is False),
    Policy("Enforce-Guardrails-KeyVault", f"{VAULT}/secrets", has_end_and_kind),
    Policy(
        "Log Analytics workspaces should block public ingestion and query",
        WORKSPACE,
        lambda one: one.at("publicNetworkAccessForIngestion") == "Disabled",
        "WORKSPACE_ID",
    ),
    Policy("Require a tag", "", is_tagged, "TAGS"),
]


def denied(policy: Policy, deployment: Snapshot) -> list[str]:
    """What the policy would not let through."""
    looked_at = deployment.of_type(policy.type) if policy.type else deployment.resources
    return [resource.id for resource in looked_at if not policy.allows(resource)]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.name} {policy.variable}")
def test_nothing_is_denied_in_a_landing_zone(policy: Policy, landing_zone: Snapshot) -> None:
    assert denied(policy, landing_zone) == []


@pytest.mark.parametrize(
    "policy", [policy for policy in POLICIES if policy.variable], ids=lambda policy: f"{policy.name} {policy.variable}"
)
def test_its_variable_is_what_satisfies_it(policy: Policy, request: pytest.FixtureRequest) -> None:
    assert denied(policy, request.getfixturevalue(policy.denied))


@pytest.mark.parametrize(
    "policy", [policy for policy in POLICIES if not policy.variable], ids=lambda policy: policy.name
)
def test_others_are_satisfied_by_every_deployment(policy: Policy, each: Snapshot) -> None:
    assert denied(policy, each) == []
