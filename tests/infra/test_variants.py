"""Deployments between those that are committed, each compiled for its test."""

import pytest

from tests.infra.compiler import snapshot
from tests.infra.conftest import DATA, GROUP, HOST, NAME, SITE, TABLES, VAULT
from tests.infra.environments import HUB, REQUIRED
from tests.infra.snapshot import Snapshot

pytestmark = pytest.mark.slow
SPOKES = f"{HUB}/Microsoft.Network/virtualNetworks"
PERSON = "abcdefab-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def between() -> Snapshot:
    """The step from public to private, behind a firewall, with evidence locked and an administrator who reads."""
    return snapshot(
        REQUIRED
        | {
            "NETWORK": "both",
            "ROUTE_TABLE_ID": f"{HUB}/Microsoft.Network/routeTables/firewall",
            "EVIDENCE_LOCKED": "true",
            "AZURE_PRINCIPAL_ID": PERSON,
            "READERS_PRINCIPAL_ID": PERSON.upper(),
        }
    )


@pytest.fixture(scope="module")
def spoke() -> Snapshot:
    """Two subnets from outside, in networks of their own, and zones that are made here."""
    return snapshot(
        REQUIRED
        | {
            "NETWORK": "private",
            "APP_SUBNET_ID": f"{SPOKES}/apps/subnets/functions",
            "ENDPOINT_SUBNET_ID": f"{SPOKES}/shared/subnets/endpoints",
        }
    )


class TestBetween:
    @pytest.mark.parametrize("name", [HOST, DATA, TABLES, VAULT, SITE])
    def test_public_access_is_still_open(self, between: Snapshot, name: str) -> None:
        assert between.named(name).at("publicNetworkAccess") == "Enabled"

    def test_and_the_private_way_is_there(self, between: Snapshot) -> None:
        assert len(between.of_type("Microsoft.Network/privateEndpoints")) == 9
        assert str(between.named(SITE).at("virtualNetworkSubnetId")).endswith(f"vnet-{NAME}/subnets/app")

    def test_a_route_leads_out_in_place_of_azure(self, between: Snapshot) -> None:
        subnets = between.of_type("Microsoft.Network/virtualNetworks/subnets")
        table = f"{HUB}/Microsoft.Network/routeTables/firewall"
        assert [(one.at("routeTable.id"), one.at("defaultOutboundAccess")) for one in subnets] == [(table, False)] * 2

    def test_a_locked_policy_is_left_alone(self, between: Snapshot) -> None:
        policies = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
        assert between.of_type(policies) == []

    def test_nobody_gets_a_role_twice(self, between: Snapshot) -> None:
        """Azure refuses a second assignment of one role to one principal, in whatever case its id is."""
        assigned = between.of_type("Microsoft.Authorization/roleAssignments")
        whole = [(one.scope, one.at("roleDefinitionId"), str(one.at("principalId")).lower()) for one in assigned]
        assert len(whole) == len(set(whole))


class TestSpoke:
    def test_zones_are_linked_to_both_networks(self, spoke: Snapshot) -> None:
        links = spoke.of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
        assert len(links) == len({link.id for link in links}) == 12
        assert {link.at("virtualNetwork.id") for link in links} == {f"{SPOKES}/apps", f"{SPOKES}/shared"}

    def test_no_network_is_made(self, spoke: Snapshot) -> None:
        assert spoke.of_type("Microsoft.Network/virtualNetworks") == []

    def test_every_endpoint_is_in_its_zone(self, spoke: Snapshot) -> None:
        assert len(spoke.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")) == 9


def test_one_network_in_two_spellings_is_linked_once() -> None:
    spelt = {"APP_SUBNET_ID": f"{SPOKES}/spoke/subnets/app", "ENDPOINT_SUBNET_ID": f"{SPOKES}/Spoke/subnets/endpoints"}
    links = snapshot(REQUIRED | {"NETWORK": "private"} | spelt).of_type(
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
    )
    assert [link.at("virtualNetwork.id") for link in links] == [f"{SPOKES}/spoke"] * 6


def test_without_gateway_or_route_azure_leads_out() -> None:
    alone = snapshot(REQUIRED | {"NETWORK": "both", "NETWORK_ADDRESS_PREFIX": "10.8.0.0/20"})
    app = alone.named(f"vnet-{NAME}/app")
    assert (app.at("addressPrefix"), app.at("defaultOutboundAccess")) == ("10.8.0.0/26", True)
    assert app.id == f"{GROUP}/Microsoft.Network/virtualNetworks/vnet-{NAME}/subnets/app"


def test_the_sample_calls_the_gateway_where_callers_do() -> None:
    signed_in = {"ENTRA_CLIENT_ID": PERSON, "SAMPLE_LOGIC_APP": "true", "NETWORK": "private"}
    found = snapshot(REQUIRED | signed_in | {"APP_SETTINGS": '{"PUBLIC_URL": "https://api.contoso.com/avepoint/"}'})
    sample = found.one("Microsoft.Logic/workflows")
    assert sample.at("parameters.appUrl.value") == "https://api.contoso.com/avepoint"
