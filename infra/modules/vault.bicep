metadata description = 'The vault: secrets, roles, audit log, and notices before a secret expires.'

import { grant, everybody, assignment } from 'grants.bicep'

param name string
param location string
param tags object

@description('Whether it can be reached from the internet')
param open bool

param grants grant[]
param principals everybody

@description('Whether to assign the roles')
param assignRoles bool

@description('Names of secrets to put in if they do not exist; a preview shows the names')
param secretNames string[]

@description('Values of the secrets, by name')
@secure()
param secretValues object

@description('Expiry of the secrets: a day or an RFC 3339 time')
#disable-next-line secure-secrets-in-params // an expiry date is not a secret
param secretsExpireOn string

@description('Resource id of the workspace that logs reads and changes')
param workspaceId string

@description('Resource id of the action group for secrets and certificates that expire soon')
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
    publicNetworkAccess: open ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: open ? 'Allow' : 'Deny'
    }
  }
}

// Only if there is none: a pipeline with an old value must not overwrite a renewed secret.
@onlyIfNotExists()
resource secret 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = [
  for item in secretNames: {
    parent: vault
    name: item
    properties: {
      value: secretValues[item]
      contentType: 'text/plain'
      attributes: {
        enabled: true
        exp: dateTimeToEpoch(secretsExpireOn)
      }
    }
  }
]

resource grantOfRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in assignRoles ? grants : []: {
    scope: vault
    name: guid(vault.id, principals[item.to].id, roles[item.role])
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
      principalId: principals[item.to].id
      principalType: principals[item.to].type
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

// Key Vault sends these 30 days before a secret or a certificate expires, also if the app does not run.
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

output url string = vault.properties.vaultUri

@description('The roles on the vault, assigned or to be assigned')
output assignments assignment[] = [
  for item in grants: {
    role: item.role
    roleId: roles[item.role]
    scope: vault.id
    principalId: principals[item.to].id
    principalType: principals[item.to].type
  }
]
