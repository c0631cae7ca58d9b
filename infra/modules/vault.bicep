metadata description = 'The vault: secrets of AvePoint, who may read and who may write them, and a word before one ends.'

param name string
param location string
param tags object

@allowed(['public', 'private'])
param network string

@description('Who reads secrets: the identity of the app')
param readerPrincipalId string

@description('Who puts secrets and certificates in; empty: nobody yet')
param administratorPrincipalId string
param administratorPrincipalType string

@description('Secrets to put in, by name')
@secure()
param secrets object

@description('When these secrets end, as an RFC 3339 time; empty: never')
param secretsExpireOn string

@description('Where reads and changes are logged')
param workspaceId string

@description('Whom to tell that a secret or a certificate ends soon')
param actionGroupId string

var roles = loadJsonContent('../roles.json')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enablePurgeProtection: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: network == 'private' ? 'Deny' : 'Allow'
    }
  }
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = [
  for item in items(secrets): {
    parent: vault
    name: item.key
    properties: {
      value: item.value
      attributes: empty(secretsExpireOn) ? { enabled: true } : {
        enabled: true
        exp: dateTimeToEpoch(secretsExpireOn)
      }
    }
  }
]

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, readerPrincipalId, roles['Key Vault Secrets User'])
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Key Vault Secrets User'])
    principalId: readerPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource administrator 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in empty(administratorPrincipalId) ? [] : ['Key Vault Secrets Officer', 'Key Vault Certificates Officer']: {
    scope: vault
    name: guid(vault.id, administratorPrincipalId, roles[role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
      principalId: administratorPrincipalId
      principalType: administratorPrincipalType
    }
  }
]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

// Key Vault speaks up by itself 30 days before a secret or a certificate ends, also when the app does not run.
resource events 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: '${name}-events'
  location: location
  tags: tags
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource nearExpiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: events
  name: 'near-expiry'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev2'
        actionGroups: [actionGroupId]
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
        'Microsoft.KeyVault.CertificateNearExpiry'
        'Microsoft.KeyVault.CertificateExpired'
      ]
    }
  }
}

output id string = vault.id
output vaultName string = vault.name
output url string = vault.properties.vaultUri
