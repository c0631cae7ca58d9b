"""The vault, and who may do what."""

import re

from tests.infra.conftest import DATA, GROUP, HOST, NAME, TABLES, VAULT
from tests.infra.environments import ADMINISTRATORS, READERS, SECRET
from tests.infra.snapshot import Snapshot, items

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

CONTAINERS = ("inventory", "harvest-state", "opus-operations", "opus-evidence")
QUEUES = ("harvest-slices", "opus-operations", "table-builds")
APP_ROLES = {
    (HOST, BLOB_OWNER),
    (HOST, QUEUE_CONTRIBUTOR),
    (HOST, TABLE_CONTRIBUTOR),
    *((f"{DATA}/containers/{name}", BLOB_CONTRIBUTOR) for name in CONTAINERS),
    *((f"{DATA}/queues/{name}", QUEUE_CONTRIBUTOR) for name in QUEUES),
    *((f"{DATA}/queues/{name}-poison", QUEUE_CONTRIBUTOR) for name in QUEUES),
    (f"{TABLES}/containers/tables", BLOB_CONTRIBUTOR),
    (VAULT, SECRETS_USER),
    (f"appi-{NAME}", METRICS_PUBLISHER),
}
ADMINISTRATOR_ROLES = {
    (VAULT, SECRETS_OFFICER),
    (VAULT, CERTIFICATES_OFFICER),
    (f"{DATA}/containers/inventory", BLOB_READER),
    (f"{DATA}/containers/opus-evidence", BLOB_READER),
    (f"{TABLES}/containers/tables", BLOB_READER),
}
READER_ROLES = {(f"{TABLES}/containers/tables", BLOB_READER)}


def short(scope: str) -> str:
    """A scope by the names of its parts."""
    name = scope.removeprefix(f"{GROUP}/").split("/", 2)[2]
    return re.sub(r"/(blob|queue)Services/default", "", name)


def roles(deployment: Snapshot, principal: str) -> list[tuple[str, str]]:
    """Where a principal has which role."""
    return [
        (short(found.scope), str(found.at("roleDefinitionId")).rpartition("/")[2])
        for found in deployment.of_type("Microsoft.Authorization/roleAssignments")
        if principal in str(found.at("principalId"))
    ]


class TestVault:
    def test_roles_only_and_nothing_is_purged(self, each: Snapshot) -> None:
        vault = each.one("Microsoft.KeyVault/vaults")
        assert vault.at("enableRbacAuthorization") is True
        assert vault.at("enablePurgeProtection") is True
        assert vault.at("enableSoftDelete") is True
        assert vault.at("softDeleteRetentionInDays") == 90
        assert vault.at("accessPolicies") is None

    def test_a_secret_has_a_kind_and_an_end(self, each: Snapshot) -> None:
        secret = each.one("Microsoft.KeyVault/vaults/secrets")
        assert secret.name.endswith("/avepoint-client-secret")
        assert secret.at("contentType") == "text/plain"
        assert secret.at("attributes") == {"enabled": True, "exp": 1801353600}  # 2027-01-31T00:00:00Z

    def test_what_it_holds_is_in_no_preview(self, each: Snapshot) -> None:
        assert "avepoint-client-secret" in each.text
        assert SECRET not in each.text

    def test_an_end_that_is_near_is_told(self, each: Snapshot) -> None:
        told = each.one("Microsoft.EventGrid/systemTopics/eventSubscriptions")
        assert each.named(told.name.split("/")[0]).at("topicType") == "Microsoft.KeyVault.vaults"
        assert told.at("destination.endpointType") == "MonitorAlert"
        groups = told.at("destination.properties.actionGroups")
        assert groups == [f"{GROUP}/Microsoft.Insights/actionGroups/ag-{NAME}"]
        kinds = {"SecretNearExpiry", "SecretExpired", "CertificateNearExpiry", "CertificateExpired"}
        assert set(items(told.at("filter.includedEventTypes"))) == {f"Microsoft.KeyVault.{kind}" for kind in kinds}


class TestRoles:
    def test_the_app_has_what_it_needs_and_no_more(self, public: Snapshot, private: Snapshot) -> None:
        assert sorted(roles(public, "userAssignedIdentities/id-test")) == sorted(APP_ROLES)
        assert sorted(roles(private, "userAssignedIdentities/id-test")) == sorted(APP_ROLES)

    def test_the_administrator_too(self, public: Snapshot, private: Snapshot) -> None:
        assert sorted(roles(public, ADMINISTRATORS)) == sorted(ADMINISTRATOR_ROLES)
        assert sorted(roles(private, ADMINISTRATORS)) == sorted(ADMINISTRATOR_ROLES)

    def test_readers_read_the_tables_alone(self, private: Snapshot) -> None:
        assert roles(private, READERS) == list(READER_ROLES)

    def test_nobody_else_has_any(self, private: Snapshot) -> None:
        assigned = private.of_type("Microsoft.Authorization/roleAssignments")
        assert len(assigned) == len(APP_ROLES | ADMINISTRATOR_ROLES) + len(READER_ROLES)

    def test_none_is_assigned_without_the_right_to(self, landing_zone: Snapshot) -> None:
        assert landing_zone.of_type("Microsoft.Authorization/roleAssignments") == []

    def test_but_all_are_told(self, landing_zone: Snapshot, public: Snapshot) -> None:
        told = str(landing_zone.outputs["ROLES_TO_ASSIGN"])
        ids = re.findall(r"'roleId', '([^']+)'", told)
        assert sorted(ids) == sorted(role for _, role in [*APP_ROLES, *ADMINISTRATOR_ROLES])
        assert told.count("'scope', '/subscriptions/") == len(ids)
        assert told.count(f"'principalId', '{ADMINISTRATORS}'") == len(ADMINISTRATOR_ROLES)
        assert public.outputs["ROLES_TO_ASSIGN"] == []

    def test_roles_are_named_by_their_guid(self, private: Snapshot) -> None:
        for found in private.of_type("Microsoft.Authorization/roleAssignments"):
            assert re.search(
                r"/Microsoft\.Authorization/roleDefinitions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
                str(found.at("roleDefinitionId")),
            )
