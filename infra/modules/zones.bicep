metadata description = 'Private DNS zones for private endpoints, linked to networks.'

param name string
param tags object

@description('Kinds of zones: blob, queue, …')
param kinds string[]

@description('Names of the zones, by kind')
param zoneNames object

@description('Resource ids of the networks that use the zones')
param networkIds string[]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for kind in kinds: {
    name: zoneNames[kind]
    location: 'global'
    tags: tags
  }
]

var links = flatten(map(range(0, length(kinds)), z => map(range(0, length(networkIds)), n => { zone: z, network: n })))

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for item in links: {
    parent: zone[item.zone]
    name: 'vnet-${name}${item.network == 0 ? '' : '-${item.network}'}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkIds[item.network] }
    }
  }
]
