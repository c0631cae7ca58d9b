"""The storage accounts: closed, forgiving, and forgetting only what they may."""

import re

import pytest

from tests.infra.conftest import DATA, HOST, TABLES
from tests.infra.paths import INFRA
from tests.infra.retention import PARAMETERS
from tests.infra.snapshot import Snapshot, Value, at, items

SERVICE = "Microsoft.Storage/storageAccounts"
SEAL = f"{SERVICE}/blobServices/containers/immutabilityPolicies"


class TestStorage:
    def test_no_keys_nothing_public_and_tls(self, each: Snapshot) -> None:
        accounts = each.of_type(SERVICE)
        assert len(accounts) == 3
        for account in accounts:
            assert account.at("allowSharedKeyAccess") is False
            assert account.at("allowBlobPublicAccess") is False
            assert account.at("allowCrossTenantReplication") is False
            assert account.at("allowedCopyScope") == "AAD"
            assert account.at("supportsHttpsTrafficOnly") is True
            assert account.at("minimumTlsVersion") == "TLS1_2"
            assert account.at("networkAcls.bypass") == "None"

    def test_tables_alone_have_a_hierarchical_namespace_which_knows_no_versions(self, public: Snapshot) -> None:
        flat = {name: public.named(name).at("isHnsEnabled") for name in (HOST, DATA, TABLES)}
        versions = {name: public.named(f"{name}/default").at("isVersioningEnabled") for name in (HOST, DATA, TABLES)}
        assert flat == {HOST: None, DATA: None, TABLES: True}
        assert versions == {HOST: True, DATA: True, TABLES: False}

    @pytest.mark.parametrize("name", [HOST, DATA, TABLES])
    def test_what_is_deleted_can_be_brought_back(self, public: Snapshot, name: str) -> None:
        service = public.named(f"{name}/default")
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            assert (service.at(f"{policy}.enabled"), service.at(f"{policy}.days")) == (True, 14)

    def test_encryption_is_sent_only_where_it_is_chosen(self, public: Snapshot, landing_zone: Snapshot) -> None:
        """Azure takes it at the first deployment and refuses it at any later one."""
        assert [account.at("encryption") for account in public.of_type(SERVICE)] == [None] * 3
        for account in landing_zone.of_type(SERVICE):
            assert account.at("encryption.requireInfrastructureEncryption") is True
            assert account.at("encryption.services.queue.keyType") == "Account"
            assert account.at("encryption.services.table.keyType") == "Account"

    def test_containers_are_private(self, public: Snapshot) -> None:
        containers = public.of_type(f"{SERVICE}/blobServices/containers")
        assert {container.at("publicAccess") for container in containers} == {"None"}
        assert {container.name for container in containers} == {
            f"{HOST}/default/app-package",
            *(f"{DATA}/default/{name}" for name in ("inventory", "harvest-state", "opus-operations", "opus-evidence")),
            f"{TABLES}/default/tables",
        }

    def test_queues_and_their_poison(self, public: Snapshot) -> None:
        queues = public.of_type(f"{SERVICE}/queueServices/queues")
        names = ("harvest-slices", "opus-operations", "table-builds")
        assert {queue.name for queue in queues} == {
            f"{DATA}/default/{name}{p}" for name in names for p in ("", "-poison")
        }

    def test_evidence_is_immutable(self, public: Snapshot) -> None:
        policy = public.one(SEAL)
        assert policy.name == f"{DATA}/default/opus-evidence/default"
        assert policy.at("immutabilityPeriodSinceCreationInDays") == 2555
        assert policy.at("allowProtectedAppendWrites") is False

    def test_for_as_long_as_is_chosen(self, landing_zone: Snapshot) -> None:
        assert landing_zone.one(SEAL).at("immutabilityPeriodSinceCreationInDays") == 3650

    def test_published_snapshots_are_told_on_request(self, public: Snapshot, private: Snapshot) -> None:
        topic = f"{DATA}-events"
        assert topic not in [found.name for found in public.of_type("Microsoft.EventGrid/systemTopics")]
        assert private.named(topic).at("topicType") == "Microsoft.Storage.StorageAccounts"
        assert private.outputs["SNAPSHOT_EVENTS_TOPIC"] == topic


class TestLifecycle:
    @pytest.fixture
    def rules(self, public: Snapshot) -> dict[str, Value]:
        policies = public.of_type(f"{SERVICE}/managementPolicies")
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
        going = [rule for rule in rules.values() if at(rule, "actions.baseBlob")]
        prefixes = [str(prefix) for rule in going for prefix in items(at(rule, "filters.prefixMatch"))]
        assert not [prefix for prefix in prefixes if kept.startswith(prefix) or prefix.startswith(kept)]

    def test_old_versions_of_everything_go(self, rules: dict[str, Value]) -> None:
        """Whatever is deleted or replaced, lists of parents and pruned evidence too, is an old version for so long."""
        assert at(rules["old-versions"], "filters") == {"blobTypes": ["blockBlob"]}
        assert at(rules["old-versions"], "actions") == {"version": {"delete": {"daysAfterCreationGreaterThan": 14}}}

    def test_no_rule_touches_the_tables(self, each: Snapshot) -> None:
        accounts = {policy.name.split("/")[0] for policy in each.of_type(f"{SERVICE}/managementPolicies")}
        assert each.outputs["TABLES_STORAGE_ACCOUNT"] not in accounts

    def test_the_app_forgets_runs_first(self, rules: dict[str, Value]) -> None:
        days = at(rules["runs"], "actions.baseBlob.delete.daysAfterModificationGreaterThan")
        assert isinstance(days, int)
        assert days > 30


def test_preflight_knows_for_how_many_days_things_are_kept() -> None:
    template = (INFRA / "main.bicep").read_text()
    (known,) = re.findall(r'^DAYS="(.+)"$', (INFRA / "preflight/weaker.sh").read_text(), re.MULTILINE)
    defaults = {
        kind: re.findall(rf"^param {name} int = (\d+)$", template, re.MULTILINE) for kind, name in PARAMETERS.items()
    }
    assert {kind: [number] for kind, number in (pair.split("=") for pair in known.split())} == defaults
