metadata description = 'A storage account without shared keys: its containers, queues and lifecycle, and who may use them.'

import { grant, everybody, assignment } from 'grants.bicep'

param name string
param location string
param tags object

@description('Redundancy')
param sku string

@description('platform; or double: infrastructure encryption, and account keys for queues and tables')
param encryption string

@description('Whether it can be reached from the internet')
param open bool

@description('Whether it has a hierarchical namespace, which has no versions')
param hierarchical bool = false

param containers string[]
param queues string[] = []

@description('Days in which a deleted blob or container can be brought back')
param softDeleteDays int

@description('Rules of the lifecycle policy')
param lifecycle object[] = []

@description('Container with an immutability policy; empty: none')
param immutableContainer string = ''

@description('Days for which its blobs can be neither changed nor deleted')
param immutableDays int = 0

param grants grant[]
param principals everybody

@description('Whether to assign the roles')
param assignRoles bool

@description('Resource id of the workspace that logs deletions of blobs; empty: none')
param workspaceId string = ''

@description('Whether to make an Event Grid topic')
param events bool = false

var roles = loadJsonContent('../roles.json')
var assigned = assignRoles ? grants : []
var accountGrants = filter(assigned, item => item.?container == null && item.?queue == null)
var containerGrants = filter(assigned, item => item.?container != null)
var queueGrants = filter(assigned, item => item.?queue != null)

// Azure takes this only when it creates an account, and refuses any later change. It is sent only if chosen.
var doubleEncryption = {
  encryption: {
    keySource: 'Microsoft.Storage'
    requireInfrastructureEncryption: true
    services: {
      blob: { enabled: true, keyType: 'Account' }
      file: { enabled: true, keyType: 'Account' }
      queue: { enabled: true, keyType: 'Account' }
      table: { enabled: true, keyType: 'Account' }
    }
  }
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: union(
    {
      accessTier: 'Hot'
      allowBlobPublicAccess: false
      allowCrossTenantReplication: false
      allowedCopyScope: 'AAD'
      allowSharedKeyAccess: false
      defaultToOAuthAuthentication: true
      isLocalUserEnabled: false
      minimumTlsVersion: 'TLS1_2'
      supportsHttpsTrafficOnly: true
      publicNetworkAccess: open ? 'Enabled' : 'Disabled'
      networkAcls: {
        bypass: 'None'
        defaultAction: open ? 'Allow' : 'Deny'
      }
    },
    hierarchical ? { isHnsEnabled: true } : {},
    encryption == 'double' ? doubleEncryption : {}
  )
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: !hierarchical
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

resource seal 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = [
  for item in empty(immutableContainer) ? [] : [immutableContainer]: {
    parent: container[indexOf(containers, item)]
    name: 'default'
    properties: {
      immutabilityPeriodSinceCreationInDays: immutableDays
      allowProtectedAppendWrites: false
    }
  }
]

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

resource policy 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = if (!empty(lifecycle)) {
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
    name: guid(account.id, principals[item.to].id, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: principals[item.to].id
      principalType: principals[item.to].type
    }
  }
]

resource containerGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in containerGrants: {
    scope: container[indexOf(containers, item.?container ?? '')]
    name: guid(account.id, item.?container ?? '', principals[item.to].id, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: principals[item.to].id
      principalType: principals[item.to].type
    }
  }
]

resource queueGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in queueGrants: {
    scope: queue[indexOf(queues, item.?queue ?? '')]
    name: guid(account.id, 'queue', item.?queue ?? '', principals[item.to].id, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: principals[item.to].id
      principalType: principals[item.to].type
    }
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

// Subscriptions are made outside: they need an endpoint of their own. infra/README.md has the filter for snapshots.
resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (events) {
  name: '${name}-events'
  location: location
  tags: tags
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table

@description('The roles on this account, assigned or to be assigned')
output assignments assignment[] = [
  for item in grants: {
    role: item.role
    roleId: roles[item.role]
    scope: item.?container != null
      ? '${account.id}/blobServices/default/containers/${item.?container ?? ''}'
      : item.?queue != null ? '${account.id}/queueServices/default/queues/${item.?queue ?? ''}' : account.id
    principalId: principals[item.to].id
    principalType: principals[item.to].type
  }
]
