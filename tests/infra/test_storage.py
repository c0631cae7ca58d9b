"""The storage accounts: closed, forgiving, and forgetting only what they may."""

import pytest

from tests.infra.conftest import DATA, HOST, REQUIRED
from tests.infra.deployment import Deployment, Value, at, deploy, items


class TestStorage:
    @pytest.mark.parametrize("name", [HOST, DATA])
    def test_no_keys_nothing_public_and_tls(self, either: Deployment, name: str) -> None:
        account = either.named(name)
        assert account.at("allowSharedKeyAccess") is False
        assert account.at("allowBlobPublicAccess") is False
        assert account.at("allowCrossTenantReplication") is False
        assert account.at("supportsHttpsTrafficOnly") is True
        assert account.at("minimumTlsVersion") == "TLS1_2"

    @pytest.mark.parametrize("name", [HOST, DATA])
    def test_what_is_deleted_or_overwritten_can_be_brought_back(self, either: Deployment, name: str) -> None:
        service = either.named(f"{name}/default")
        assert service.at("isVersioningEnabled") is True
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            assert (service.at(f"{policy}.enabled"), service.at(f"{policy}.days")) == (True, 14)

    def test_containers_are_private(self, either: Deployment) -> None:
        containers = either.of_type("Microsoft.Storage/storageAccounts/blobServices/containers")
        assert {container.at("publicAccess") for container in containers} == {"None"}
        assert {container.name for container in containers} == {
            f"{HOST}/default/app-package",
            *(f"{DATA}/default/{name}" for name in ("inventory", "harvest-state", "opus-operations", "opus-evidence")),
        }

    def test_queues_and_their_poison(self, either: Deployment) -> None:
        queues = either.of_type("Microsoft.Storage/storageAccounts/queueServices/queues")
        names = ("harvest-slices", "harvest-slices-poison", "opus-operations", "opus-operations-poison")
        assert {queue.name for queue in queues} == {f"{DATA}/default/{name}" for name in names}

    def test_evidence_is_immutable(self, either: Deployment) -> None:
        policy = either.one("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies")
        assert policy.name == f"{DATA}/default/opus-evidence/default"
        assert policy.at("immutabilityPeriodSinceCreationInDays") == 2555
        assert policy.at("allowProtectedAppendWrites") is False

    def test_a_locked_policy_is_left_alone(self) -> None:
        locked = deploy(REQUIRED | {"evidenceLocked": True})
        assert not locked.of_type("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies")


class TestLifecycle:
    @pytest.fixture
    def rules(self, plain: Deployment) -> dict[str, Value]:
        policies = plain.of_type("Microsoft.Storage/storageAccounts/managementPolicies")
        policy = next(policy for policy in policies if policy.name.startswith(DATA))
        return {str(at(rule, "name")): at(rule, "definition") for rule in items(policy.at("policy.rules"))}

    def test_raw_files_become_cool_and_go(self, rules: dict[str, Value]) -> None:
        assert at(rules["raw"], "filters.prefixMatch") == ["inventory/raw/"]
        assert at(rules["raw"], "actions.baseBlob.tierToCool.daysAfterModificationGreaterThan") == 30
        assert at(rules["raw"], "actions.baseBlob.delete.daysAfterModificationGreaterThan") == 365

    def test_nothing_else_goes_but_runs_and_operations(self, rules: dict[str, Value]) -> None:
        going = {name: at(rule, "filters.prefixMatch") for name, rule in rules.items() if at(rule, "actions.baseBlob")}
        assert going == {
            "raw": ["inventory/raw/"],
            "runs": ["harvest-state/runs/"],
            "operations": ["opus-operations/operations/"],
        }

    @pytest.mark.parametrize("kept", ["inventory/latest/", "inventory/manifests/", "opus-evidence/date="])
    def test_never_latest_manifests_or_evidence(self, rules: dict[str, Value], kept: str) -> None:
        prefixes = [str(prefix) for rule in rules.values() for prefix in items(at(rule, "filters.prefixMatch"))]
        assert not [prefix for prefix in prefixes if kept.startswith(prefix) or prefix.startswith(kept)]

    def test_the_app_forgets_runs_first(self, rules: dict[str, Value]) -> None:
        days = at(rules["runs"], "actions.baseBlob.delete.daysAfterModificationGreaterThan")
        assert isinstance(days, int)
        assert days > 30
