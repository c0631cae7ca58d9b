metadata description = 'Everything the app needs in Azure, in one resource group.'

targetScope = 'subscription'

import { appSettings } from 'modules/settings.bicep'

@description('Name of the environment, which the names of all resources are made of')
@minLength(1)
@maxLength(20)
param environmentName string

@description('Azure region; one that offers Flex Consumption')
param location string

@description('Tags of all resources')
param tags object = {}

@description('The app settings, by their names in docs/configuration.md')
param settings appSettings

@description('Secrets to put into the vault, by name; those left out are put in by the administrator')
@secure()
param secrets object = {}

@description('When these secrets end, such as 2027-01-31T00:00:00Z, so that a reminder comes before; empty: never')
param secretsExpireOn string = ''

@description('Object id of who puts secrets into the vault and reads inventories; empty: nobody yet')
param administratorPrincipalId string = ''

@description('What that is')
@allowed(['User', 'Group', 'ServicePrincipal'])
param administratorPrincipalType string = 'User'

@description('Client id of the app registration that callers sign in to (Easy Auth, app roles); empty: function keys')
param entraClientId string = ''

@description('Address ranges that may call the app, such as 203.0.113.0/24; empty: any')
param allowedIpRanges string[] = []

@description('private: storage, vault and app have private endpoints only, and the app goes out through a network of its own')
@allowed(['public', 'private'])
param network string = 'public'

@description('Address space of that network')
param networkAddressPrefix string = '10.60.0.0/24'

@description('Resource id of a NAT gateway for that network, for one known address towards AvePoint; empty: none')
param natGatewayId string = ''

@description('How many instances there may be at once')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Redundancy of the storage accounts')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Days after which the raw files of a snapshot become cool')
@minValue(1)
param rawCoolAfterDays int = 30

@description('Days after which the raw files of a snapshot are deleted')
@minValue(2)
param rawDeleteAfterDays int = 365

@description('Days after which the state of a run that nobody deleted is deleted')
@minValue(31)
param stateDeleteAfterDays int = 60

@description('Days after which an operation, and with it the memory of its idempotency key, is deleted')
@minValue(31)
param operationDeleteAfterDays int = 730

@description('Days in which a deleted or overwritten blob can be brought back')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 14

@description('Days for which evidence can be neither changed nor deleted')
@minValue(1)
@maxValue(146000)
param evidenceDays int = 2555

@description('true once the immutability policy has been locked, after which it is left alone')
param evidenceLocked bool = false

@description('Days for which telemetry is kept')
@minValue(30)
@maxValue(730)
param logDays int = 90

@description('Hours after which a dataset without a new snapshot is stale')
@minValue(1)
@maxValue(47)
param freshnessHours int = 26

@description('Addresses that alerts are mailed to')
param alertEmails string[] = []

@description('What the resource group may cost in a month, in the currency of the subscription; 0: no budget')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the first month of the budget; keep it once there is one')
param monthlyBudgetFrom string = utcNow('yyyy-MM-01')

@description('Whether to deploy the sample Logic App, which needs entraClientId')
param sampleLogicApp bool = false

var suffix = uniqueString(subscription().id, environmentName, location)
var name = '${environmentName}-${take(suffix, 5)}'
var allTags = union(tags, { 'azd-env-name': environmentName })
var packageContainer = 'app-package'
var inventoryContainer = 'inventory'
var evidenceContainer = 'opus-evidence'
var writtenContainers = [inventoryContainer, 'harvest-state', 'opus-operations', evidenceContainer]
var queues = ['harvest-slices', 'harvest-slices-poison', 'opus-operations', 'opus-operations-poison']

var oldVersions = { delete: { daysAfterCreationGreaterThan: softDeleteDays } }

// No rule names latest/, manifests/, watermarks/, budget/ or evidence but to forget the older versions of what the app
// overwrites all the time.
var dataLifecycle = [
  {
    name: 'raw'
    type: 'Lifecycle'
    enabled: true
    definition: {
      filters: {
        blobTypes: ['blockBlob']
        prefixMatch: ['${inventoryContainer}/raw/']
      }
      actions: {
        baseBlob: {
          tierToCool: { daysAfterModificationGreaterThan: rawCoolAfterDays }
          delete: { daysAfterModificationGreaterThan: rawDeleteAfterDays }
        }
        version: oldVersions
      }
    }
  }
  {
    name: 'runs'
    type: 'Lifecycle'
    enabled: true
    definition: {
      filters: {
        blobTypes: ['blockBlob']
        prefixMatch: ['harvest-state/runs/']
      }
      actions: {
        baseBlob: {
          delete: { daysAfterModificationGreaterThan: stateDeleteAfterDays }
        }
      }
    }
  }
  {
    name: 'operations'
    type: 'Lifecycle'
    enabled: true
    definition: {
      filters: {
        blobTypes: ['blockBlob']
        prefixMatch: ['opus-operations/operations/']
      }
      actions: {
        baseBlob: {
          delete: { daysAfterModificationGreaterThan: operationDeleteAfterDays }
        }
      }
    }
  }
  {
    name: 'old-versions'
    type: 'Lifecycle'
    enabled: true
    definition: {
      filters: {
        blobTypes: ['blockBlob']
        prefixMatch: ['harvest-state/', 'opus-operations/']
      }
      actions: { version: oldVersions }
    }
  }
]

var hostLifecycle = [
  {
    name: 'old-versions'
    type: 'Lifecycle'
    enabled: true
    definition: {
      filters: { blobTypes: ['blockBlob'] }
      actions: { version: oldVersions }
    }
  }
]

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: allTags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: 'id-${name}'
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    publisherPrincipalId: identity.outputs.principalId
    retentionDays: logDays
    emails: alertEmails
  }
}

// What the Functions host keeps for itself: locks, keys, timers, and the deployed package.
module hostStorage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: 'sthost${suffix}'
    location: location
    tags: allTags
    sku: storageSku
    network: network
    containers: [packageContainer]
    softDeleteDays: softDeleteDays
    lifecycle: hostLifecycle
    accountGrants: map(
      ['Storage Blob Data Owner', 'Storage Queue Data Contributor', 'Storage Table Data Contributor'],
      role => {
        role: role
        principalId: identity.outputs.principalId
        principalType: 'ServicePrincipal'
      }
    )
  }
}

module dataStorage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: 'stdata${suffix}'
    location: location
    tags: allTags
    sku: storageSku
    network: network
    containers: writtenContainers
    queues: queues
    softDeleteDays: softDeleteDays
    lifecycle: dataLifecycle
    immutableContainer: evidenceLocked ? '' : evidenceContainer
    immutableDays: evidenceDays
    workspaceId: monitoring.outputs.workspaceId
    containerGrants: concat(
      map(writtenContainers, container => {
        on: container
        role: 'Storage Blob Data Contributor'
        principalId: identity.outputs.principalId
        principalType: 'ServicePrincipal'
      }),
      map(empty(administratorPrincipalId) ? [] : [inventoryContainer, evidenceContainer], container => {
        on: container
        role: 'Storage Blob Data Reader'
        principalId: administratorPrincipalId
        principalType: administratorPrincipalType
      })
    )
    queueGrants: map(queues, queue => {
      on: queue
      role: 'Storage Queue Data Contributor'
      principalId: identity.outputs.principalId
      principalType: 'ServicePrincipal'
    })
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    name: 'kv-${suffix}'
    location: location
    tags: allTags
    network: network
    readerPrincipalId: identity.outputs.principalId
    administratorPrincipalId: administratorPrincipalId
    administratorPrincipalType: administratorPrincipalType
    secrets: secrets
    secretsExpireOn: secretsExpireOn
    workspaceId: monitoring.outputs.workspaceId
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

module privateNetwork 'modules/network.bicep' = if (network == 'private') {
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    addressPrefix: networkAddressPrefix
    natGatewayId: natGatewayId
  }
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    settings: settings
    hostBlobEndpoint: hostStorage.outputs.blobEndpoint
    hostQueueEndpoint: hostStorage.outputs.queueEndpoint
    hostTableEndpoint: hostStorage.outputs.tableEndpoint
    dataBlobEndpoint: dataStorage.outputs.blobEndpoint
    dataQueueEndpoint: dataStorage.outputs.queueEndpoint
    vaultUrl: vault.outputs.url
    insightsConnectionString: monitoring.outputs.connectionString
    packageContainer: packageContainer
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    entraClientId: entraClientId
    allowedIpRanges: allowedIpRanges
    network: network
    subnetId: network == 'private' ? privateNetwork!.outputs.appSubnetId : ''
  }
}

var endpoints = [
  { name: 'host', groupId: 'blob' }
  { name: 'host', groupId: 'queue' }
  { name: 'host', groupId: 'table' }
  { name: 'data', groupId: 'blob' }
  { name: 'data', groupId: 'queue' }
  { name: 'vault', groupId: 'vault' }
  { name: 'app', groupId: 'sites' }
]

module endpoint 'modules/endpoint.bicep' = [
  for item in network == 'private' ? endpoints : []: {
    scope: group
    name: 'endpoint-${item.name}-${item.groupId}'
    params: {
      name: '${item.name}-${name}'
      location: location
      tags: allTags
      targetId: {
        host: hostStorage.outputs.id
        data: dataStorage.outputs.id
        vault: vault.outputs.id
        app: app.outputs.id
      }[item.name]
      groupId: item.groupId
      subnetId: privateNetwork!.outputs.endpointSubnetId
      zoneId: privateNetwork!.outputs.zoneIds[item.groupId]
    }
  }
]

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    insightsId: monitoring.outputs.insightsId
    actionGroupId: monitoring.outputs.actionGroupId
    freshnessHours: freshnessHours
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: allTags
    insightsId: monitoring.outputs.insightsId
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  scope: group
  params: {
    name: name
    amount: monthlyBudget
    from: monthlyBudgetFrom
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

module logicApp 'modules/logic-app.bicep' = if (sampleLogicApp && !empty(entraClientId)) {
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    appUrl: app.outputs.url
    audience: 'api://${entraClientId}'
  }
}

@description('Resource group of everything')
output AZURE_RESOURCE_GROUP string = group.name

@description('Where the package is deployed to')
output FUNCTION_APP_NAME string = app.outputs.siteName

@description('Where callers call; /api/health says whether the app is well')
output FUNCTION_APP_URL string = app.outputs.url

@description('Where secrets and certificates go')
output KEY_VAULT_NAME string = vault.outputs.vaultName

@description('Where inventories and evidence are')
output DATA_STORAGE_ACCOUNT string = dataStorage.outputs.accountName

@description('Where the immutability policy is locked')
output EVIDENCE_CONTAINER string = evidenceContainer

@description('Who the app is, for roles on what this deployment does not own')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Who the sample Logic App is, for the app role Harvest.Start; empty when there is none')
output LOGIC_APP_PRINCIPAL_ID string = sampleLogicApp && !empty(entraClientId) ? logicApp!.outputs.principalId : ''
