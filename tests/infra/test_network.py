"""Public, private, and the step between."""

import re

import pytest

from tests.infra.clouds import in_cloud
from tests.infra.conftest import DATA, GROUP, HOST, NAME, SITE, TABLES, VAULT
from tests.infra.environments import HUB
from tests.infra.snapshot import Resource, Snapshot, at, items

# https://learn.microsoft.com/azure/private-link/private-endpoint-dns
ZONES = {
    "AzureCloud": {
        "blob": "privatelink.blob.core.windows.net",
        "queue": "privatelink.queue.core.windows.net",
        "table": "privatelink.table.core.windows.net",
        "dfs": "privatelink.dfs.core.windows.net",
        "vault": "privatelink.vaultcore.azure.net",
        "sites": "privatelink.azurewebsites.net",
    },
    "AzureUSGovernment": {
        "blob": "privatelink.blob.core.usgovcloudapi.net",
        "queue": "privatelink.queue.core.usgovcloudapi.net",
        "table": "privatelink.table.core.usgovcloudapi.net",
        "dfs": "privatelink.dfs.core.usgovcloudapi.net",
        "vault": "privatelink.vaultcore.usgovcloudapi.net",
        "sites": "privatelink.azurewebsites.us",
    },
    "AzureChinaCloud": {
        "blob": "privatelink.blob.core.chinacloudapi.cn",
        "queue": "privatelink.queue.core.chinacloudapi.cn",
        "table": "privatelink.table.core.chinacloudapi.cn",
        "dfs": "privatelink.dfs.core.chinacloudapi.cn",
        "vault": "privatelink.vaultcore.azure.cn",
        "sites": "privatelink.chinacloudsites.cn",
    },
}
EVERY_SERVICE = {
    (HOST, "blob"),
    (HOST, "queue"),
    (HOST, "table"),
    (DATA, "blob"),
    (DATA, "queue"),
    (TABLES, "blob"),
    (TABLES, "dfs"),
    (VAULT, "vault"),
    (SITE, "sites"),
}


def connection(endpoint: Resource) -> tuple[str, str]:
    """What an endpoint leads to: the name of the resource, and its service."""
    found = at(items(endpoint.at("privateLinkServiceConnections"))[0], "properties")
    return str(at(found, "privateLinkServiceId")).rpartition("/")[2], str(items(at(found, "groupIds"))[0])


def zone_of(group: Resource) -> str:
    """The zone that a zone group names."""
    zone = str(at(items(group.at("privateDnsZoneConfigs"))[0], "properties.privateDnsZoneId"))
    return str(re.findall(r"privatelink\.[\w.]+", zone)[0])


@pytest.mark.parametrize("name", [HOST, DATA, TABLES, VAULT])
def test_private_is_closed_to_the_internet(private: Snapshot, public: Snapshot, name: str) -> None:
    closed, open_ = private.named(name), public.named(name)
    assert (closed.at("publicNetworkAccess"), closed.at("networkAcls.defaultAction")) == ("Disabled", "Deny")
    assert (open_.at("publicNetworkAccess"), open_.at("networkAcls.defaultAction")) == ("Enabled", "Allow")


def test_so_is_the_app_which_goes_out_through_its_own_network(private: Snapshot, public: Snapshot) -> None:
    subnet = f"{GROUP}/Microsoft.Network/virtualNetworks/vnet-{NAME}/subnets/app"
    assert private.named(SITE).at("publicNetworkAccess") == "Disabled"
    assert private.named(SITE).at("virtualNetworkSubnetId") == subnet
    assert public.named(SITE).at("publicNetworkAccess") == "Enabled"
    assert public.named(SITE).at("virtualNetworkSubnetId") is None
    assert not [resource for resource in public.resources if resource.type.startswith("Microsoft.Network/")]


@pytest.mark.parametrize("cloud", ZONES)
def test_every_service_has_an_endpoint_in_the_zone_of_its_cloud(private: Snapshot, cloud: str) -> None:
    there = in_cloud(private, cloud)
    groups = there.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    zones = {group.name.split("/")[0]: zone_of(group) for group in groups}
    endpoints = there.of_type("Microsoft.Network/privateEndpoints")
    assert {connection(endpoint): zones[endpoint.name] for endpoint in endpoints} == {
        (name, service): ZONES[cloud][service] for name, service in EVERY_SERVICE
    }


@pytest.mark.parametrize("cloud", ZONES)
def test_the_network_knows_all_zones(private: Snapshot, cloud: str) -> None:
    there = in_cloud(private, cloud)
    links = there.of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    network = f"{GROUP}/Microsoft.Network/virtualNetworks/vnet-{NAME}"
    assert {zone.name for zone in there.of_type("Microsoft.Network/privateDnsZones")} == set(ZONES[cloud].values())
    assert {link.name for link in links} == {f"{zone}/vnet-{NAME}" for zone in ZONES[cloud].values()}
    assert {link.at("virtualNetwork.id") for link in links} == {network}


def test_subnets_are_resources_of_their_own(private: Snapshot) -> None:
    """Subnets inside a network are all there may be: a second deployment would delete those that others added."""
    assert private.one("Microsoft.Network/virtualNetworks").at("subnets") is None
    subnets = private.of_type("Microsoft.Network/virtualNetworks/subnets")
    assert {subnet.name: subnet.at("addressPrefix") for subnet in subnets} == {
        f"vnet-{NAME}/app": "10.60.0.0/26",
        f"vnet-{NAME}/endpoints": "10.60.0.64/26",
    }


def test_each_says_whether_azure_leads_out_of_it(private: Snapshot) -> None:
    """The gateway does, so nothing else has to."""
    subnets = private.of_type("Microsoft.Network/virtualNetworks/subnets")
    assert {subnet.at("defaultOutboundAccess") for subnet in subnets} == {False}
    gateway = private.named(f"vnet-{NAME}/app").at("natGateway.id")
    assert gateway == f"{HUB}/Microsoft.Network/natGateways/nat"


def test_the_subnet_of_the_app_is_delegated_to_flex_consumption(private: Snapshot) -> None:
    app = private.named(f"vnet-{NAME}/app")
    assert at(items(app.at("delegations"))[0], "properties.serviceName") == "Microsoft.App/environments"


class TestLandingZone:
    def test_nothing_of_the_network_is_made_but_endpoints(self, landing_zone: Snapshot) -> None:
        made = {resource.type for resource in landing_zone.resources if resource.type.startswith("Microsoft.Network/")}
        assert made == {"Microsoft.Network/privateEndpoints"}

    def test_they_stand_in_the_subnet_that_was_given(self, landing_zone: Snapshot) -> None:
        endpoints = landing_zone.of_type("Microsoft.Network/privateEndpoints")
        subnet = f"{HUB}/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints"
        assert len(endpoints) == len(EVERY_SERVICE)
        assert {endpoint.at("subnet.id") for endpoint in endpoints} == {subnet}

    def test_the_app_goes_out_through_the_other(self, landing_zone: Snapshot) -> None:
        subnet = landing_zone.one("Microsoft.Web/sites").at("virtualNetworkSubnetId")
        assert subnet == f"{HUB}/Microsoft.Network/virtualNetworks/spoke/subnets/functions"
