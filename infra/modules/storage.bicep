metadata description = 'A storage account without shared keys: its containers, queues and lifecycle, and who may use them.'

@description('Who has a role on the whole account')
type grant = {
  role: string
  principalId: string
  principalType: string
}

@description('Who has a role on one container or queue')
type narrowGrant = {
  on: string
  role: string
  principalId: string
  principalType: string
}

param name string
param location string
param tags object

@description('Redundancy')
param sku string

@allowed(['public', 'private'])
param network string

param containers string[]
param queues string[] = []

@description('Days in which a deleted blob or container can be brought back')
param softDeleteDays int

@description('Rules of the lifecycle policy')
param lifecycle object[]

@description('A container whose blobs can be neither changed nor deleted before their time; empty: none')
param immutableContainer string = ''

@description('How long that is')
param immutableDays int = 0

param accountGrants grant[] = []
param containerGrants narrowGrant[] = []
param queueGrants narrowGrant[] = []

@description('Where deletions of blobs are logged; empty: nowhere')
param workspaceId string = ''

var roles = loadJsonContent('../roles.json')

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: network == 'private' ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for item in containers: {
    parent: blobs
    name: item
    properties: { publicAccess: 'None' }
  }
]

resource sealed 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: blobs
  name: empty(immutableContainer) ? 'none' : immutableContainer
}

resource seal 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = if (!empty(immutableContainer)) {
  parent: sealed
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: immutableDays
    allowProtectedAppendWrites: false
  }
  dependsOn: [container]
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for item in queues: {
    parent: queueService
    name: item
  }
]

resource policy 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: { rules: lifecycle }
  }
  dependsOn: [blobs]
}

resource accountGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in accountGrants: {
    scope: account
    name: guid(account.id, item.principalId, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: item.principalId
      principalType: item.principalType
    }
  }
]

resource grantedContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = [
  for item in containerGrants: {
    parent: blobs
    name: item.on
  }
]

resource containerGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in containerGrants: {
    scope: grantedContainer[i]
    name: guid(account.id, item.on, item.principalId, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: item.principalId
      principalType: item.principalType
    }
    dependsOn: [container]
  }
]

resource grantedQueue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' existing = [
  for item in queueGrants: {
    parent: queueService
    name: item.on
  }
]

resource queueGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in queueGrants: {
    scope: grantedQueue[i]
    name: guid(account.id, 'queue', item.on, item.principalId, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: item.principalId
      principalType: item.principalType
    }
    dependsOn: [queue]
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  scope: blobs
  name: 'deletions'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output accountName string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
