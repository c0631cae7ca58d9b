metadata description = 'The identity of the function app, new or existing.'

param name string
param location string
param tags object

@description('Resource id of an existing identity; empty: make one')
param identityId string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (empty(identityId)) {
  name: name
  location: location
  tags: tags
}

resource taken 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (!empty(identityId)) {
  scope: resourceGroup(split(identityId, '/')[2], split(identityId, '/')[4])
  name: last(split(identityId, '/'))!
}

output clientId string = empty(identityId) ? identity!.properties.clientId : taken!.properties.clientId
output principalId string = empty(identityId) ? identity!.properties.principalId : taken!.properties.principalId
