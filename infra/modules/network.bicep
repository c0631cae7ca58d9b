metadata description = 'A virtual network with a subnet for the app and one for private endpoints.'

param name string
param location string
param tags object

@description('Address space; each subnet gets a /26 of it')
param addressPrefix string

@description('Resource id of a NAT gateway, for one known address towards AvePoint; empty: none')
param natGatewayId string

@description('Resource id of a route table, such as one that leads through a firewall; empty: none')
param routeTableId string

var routeTable = empty(routeTableId) ? null : { id: routeTableId }

// The default rules allow traffic from the network itself, and none from the internet.
resource guard 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}'
  location: location
  tags: tags
}

// Without the property subnets, so that a deployment does not delete subnets that others have added.
resource vnet 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
  }
}

resource app 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' = {
  parent: vnet
  name: 'app'
  properties: {
    addressPrefix: cidrSubnet(addressPrefix, 26, 0)
    networkSecurityGroup: { id: guard.id }
    natGateway: empty(natGatewayId) ? null : { id: natGatewayId }
    routeTable: routeTable
    // Without gateway and route, the default access of Azure is the only way out.
    defaultOutboundAccess: empty(natGatewayId) && empty(routeTableId)
    delegations: [
      {
        name: 'flex'
        properties: { serviceName: 'Microsoft.App/environments' }
      }
    ]
  }
}

// After the other subnet: a network takes one change at a time.
resource endpoints 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' = {
  parent: vnet
  name: 'endpoints'
  dependsOn: [app]
  properties: {
    addressPrefix: cidrSubnet(addressPrefix, 26, 1)
    networkSecurityGroup: { id: guard.id }
    routeTable: routeTable
    privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
    defaultOutboundAccess: false
  }
}
