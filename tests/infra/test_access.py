"""The vault, and who may do what."""

import re

from tests.infra.conftest import APP, DATA, HOST, VAULT
from tests.infra.deployment import Deployment, at, items

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOB_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
QUEUE_CONTRIBUTOR = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
TABLE_CONTRIBUTOR = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
CERTIFICATES_OFFICER = "a4417e6f-fecd-4de8-b567-7b0420556985"
METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"

APP_ROLES = {
    (HOST, BLOB_OWNER),
    (HOST, QUEUE_CONTRIBUTOR),
    (HOST, TABLE_CONTRIBUTOR),
    (f"{DATA}/default/inventory", BLOB_CONTRIBUTOR),
    (f"{DATA}/default/harvest-state", BLOB_CONTRIBUTOR),
    (f"{DATA}/default/opus-operations", BLOB_CONTRIBUTOR),
    (f"{DATA}/default/opus-evidence", BLOB_CONTRIBUTOR),
    (f"{DATA}/default/harvest-slices", QUEUE_CONTRIBUTOR),
    (f"{DATA}/default/harvest-slices-poison", QUEUE_CONTRIBUTOR),
    (f"{DATA}/default/opus-operations", QUEUE_CONTRIBUTOR),
    (f"{DATA}/default/opus-operations-poison", QUEUE_CONTRIBUTOR),
    (VAULT, SECRETS_USER),
    ("appi-test-abcde", METRICS_PUBLISHER),
}
ADMINISTRATOR_ROLES = {
    (VAULT, SECRETS_OFFICER),
    (VAULT, CERTIFICATES_OFFICER),
    (f"{DATA}/default/inventory", BLOB_READER),
    (f"{DATA}/default/opus-evidence", BLOB_READER),
}


def roles(deployment: Deployment, principal: str) -> list[tuple[str, str]]:
    """Where a principal has which role."""
    assignments = deployment.of_type("Microsoft.Authorization/roleAssignments")
    return [
        (str(at(found.body, "scope.fullName")), str(found.at("roleDefinitionId")).rpartition("/")[2])
        for found in assignments
        if found.at("principalId") == principal
    ]


class TestVault:
    def test_roles_only_and_nothing_is_purged(self, either: Deployment) -> None:
        vault = either.named(VAULT)
        assert vault.at("enableRbacAuthorization") is True
        assert vault.at("enablePurgeProtection") is True
        assert vault.at("enableSoftDelete") is True
        assert vault.at("softDeleteRetentionInDays") == 90
        assert vault.at("accessPolicies") is None

    def test_secrets_are_put_in_only_when_given(self, full: Deployment) -> None:
        secret = full.one("Microsoft.KeyVault/vaults/secrets")
        assert (secret.name, secret.at("value")) == (f"{VAULT}/avepoint-client-secret", "secret")
        assert secret.at("attributes.exp") == "dateTimeToEpoch(2027-01-31T00:00:00Z)"

    def test_an_end_that_is_near_is_told(self, either: Deployment) -> None:
        told = either.one("Microsoft.EventGrid/systemTopics/eventSubscriptions")
        assert either.one("Microsoft.EventGrid/systemTopics").at("topicType") == "Microsoft.KeyVault.vaults"
        assert told.at("destination.endpointType") == "MonitorAlert"
        assert told.at("destination.properties.actionGroups") == ["Microsoft.Insights/actionGroups/ag-test-abcde"]
        kinds = {"SecretNearExpiry", "SecretExpired", "CertificateNearExpiry", "CertificateExpired"}
        assert set(items(told.at("filter.includedEventTypes"))) == {f"Microsoft.KeyVault.{kind}" for kind in kinds}


class TestRoles:
    def test_the_app_has_what_it_needs_and_no_more(self, either: Deployment) -> None:
        assert sorted(roles(either, APP)) == sorted(APP_ROLES)

    def test_the_administrator_too(self, full: Deployment) -> None:
        assert sorted(roles(full, "administrator")) == sorted(ADMINISTRATOR_ROLES)

    def test_nobody_else_has_any(self, full: Deployment, plain: Deployment) -> None:
        everybody = [str(found.at("principalId")) for found in full.of_type("Microsoft.Authorization/roleAssignments")]
        assert set(everybody) == {APP, "administrator"}
        assert roles(plain, "administrator") == []

    def test_roles_are_named_by_their_guid(self, full: Deployment) -> None:
        for found in full.of_type("Microsoft.Authorization/roleAssignments"):
            assert re.fullmatch(
                r"Microsoft\.Authorization/roleDefinitions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                str(found.at("roleDefinitionId")),
            )
