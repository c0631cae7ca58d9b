"""The switch between public and private."""

import pytest

from tests.infra.conftest import DATA, HOST, REQUIRED, SITE, VAULT
from tests.infra.deployment import Deployment, at, deploy, items


@pytest.mark.parametrize("name", [HOST, DATA, VAULT])
def test_private_is_closed_to_the_internet(full: Deployment, plain: Deployment, name: str) -> None:
    private, public = full.named(name), plain.named(name)
    assert (private.at("publicNetworkAccess"), private.at("networkAcls.defaultAction")) == ("Disabled", "Deny")
    assert (public.at("publicNetworkAccess"), public.at("networkAcls.defaultAction")) == ("Enabled", "Allow")


def test_so_is_the_app_which_goes_out_through_its_own_network(full: Deployment, plain: Deployment) -> None:
    assert full.named(SITE).at("publicNetworkAccess") == "Disabled"
    assert str(full.named(SITE).at("virtualNetworkSubnetId")).endswith("vnet-test-abcde/app")
    assert plain.named(SITE).at("publicNetworkAccess") == "Enabled"
    assert plain.named(SITE).at("virtualNetworkSubnetId") is None


def test_every_service_that_is_used_has_an_endpoint_in_its_zone(full: Deployment) -> None:
    groups = full.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    zones = {
        group.name.split("/")[0]: str(at(items(group.at("privateDnsZoneConfigs"))[0], "properties.privateDnsZoneId"))
        for group in groups
    }
    reached = {}
    for endpoint in full.of_type("Microsoft.Network/privateEndpoints"):
        connection = at(items(endpoint.at("privateLinkServiceConnections"))[0], "properties")
        target = str(at(connection, "privateLinkServiceId")).rpartition("/")[2]
        reached[target, str(items(at(connection, "groupIds"))[0])] = zones[endpoint.name].rpartition("/")[2]
    assert reached == {
        (HOST, "blob"): "privatelink.blob.core.windows.net",
        (HOST, "queue"): "privatelink.queue.core.windows.net",
        (HOST, "table"): "privatelink.table.core.windows.net",
        (DATA, "blob"): "privatelink.blob.core.windows.net",
        (DATA, "queue"): "privatelink.queue.core.windows.net",
        (VAULT, "vault"): "privatelink.vaultcore.azure.net",
        (SITE, "sites"): "privatelink.azurewebsites.net",
    }


def test_the_network_knows_all_zones(full: Deployment) -> None:
    zones = {zone.name for zone in full.of_type("Microsoft.Network/privateDnsZones")}
    links = full.of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    assert {link.name.split("/")[0] for link in links} == zones


def test_the_subnet_of_the_app_is_delegated_to_flex_consumption(full: Deployment) -> None:
    app = items(full.one("Microsoft.Network/virtualNetworks").at("subnets"))[0]
    assert at(items(at(app, "properties.delegations"))[0], "properties.serviceName") == "Microsoft.App/environments"


def test_no_other_network_is_known() -> None:
    with pytest.raises(AssertionError, match="network"):
        deploy(REQUIRED | {"network": "hybrid"})
