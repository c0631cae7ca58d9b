metadata description = 'Everything the app needs in Azure, in one resource group.'

import { grant, who, assignment } from 'modules/grants.bicep'
import { dataRules, hostRules } from 'modules/lifecycle.bicep'

@description('Name of the environment; the names of all resources contain it')
@minLength(1)
@maxLength(20)
param environmentName string

@description('Azure region, which has to offer Flex Consumption')
param location string = resourceGroup().location

@description('Tags of all resources')
param tags { *: string } = {}

@description('Names of the app, the vault and the storage accounts, where a naming rule asks for other names')
param resourceNames { app: string?, vault: string?, host: string?, data: string?, tables: string? } = {}

@description('Code of the data centre of the tenant')
param dataCenter string

@description('Client id of the app registration in AvePoint Online Services')
param clientId string

@description('Other app settings, by their names in docs/configuration.md')
param appSettings { *: string } = {}

@description('Functions that do not run')
param disabledFunctions string[] = []

@description('Names of secrets to put into the vault, if it has none of that name yet')
param secretNames string[] = []

@description('Values of these secrets, by name')
@secure()
param secretValues object = {}

@description('Expiry of these secrets, such as 2027-01-31; a reminder comes 30 days before')
#disable-next-line secure-secrets-in-params // an expiry date is not a secret
param secretsExpireOn string = ''

@description('Object id of the administrator, who puts secrets into the vault and reads inventories; empty: none')
param administratorPrincipalId string = ''

@description('Type of the administrator')
@allowed(['User', 'Group', 'ServicePrincipal'])
param administratorPrincipalType string = 'User'

@description('Object id of the readers of the tables; empty: none')
param readersPrincipalId string = ''

@description('Type of the readers')
@allowed(['User', 'Group', 'ServicePrincipal'])
param readersPrincipalType string = 'Group'

@description('Whether to make an Event Grid topic that announces published snapshots')
param snapshotEvents bool = false

@description('Whether to assign roles; if not, the output ROLES_TO_ASSIGN lists them')
param assignRoles bool = true

@description('Resource id of an existing user-assigned identity; empty: make one')
param identityId string = ''

@description('Resource id of an existing Log Analytics workspace; empty: make one')
param workspaceId string = ''

@description('Client id of the app registration that callers sign in to (Easy Auth, app roles); empty: function keys')
param entraClientId string = ''

@description('Address ranges that may call the app, such as 203.0.113.0/24; empty: any')
param allowedIpRanges string[] = []

@description('public; both: public access and private endpoints; private: private endpoints only')
@allowed(['public', 'both', 'private'])
param network string = 'public'

@description('Address space of the network, if this deployment makes it')
param networkAddressPrefix string = '10.60.0.0/24'

@description('Resource id of a NAT gateway for that network, for one known address towards AvePoint; empty: none')
param natGatewayId string = ''

@description('Resource id of a route table for that network; empty: none')
param routeTableId string = ''

@description('Resource id of an existing subnet for the outbound traffic of the app; empty: make one')
param appSubnetId string = ''

@description('Resource id of an existing subnet for private endpoints; empty: make one')
param endpointSubnetId string = ''

@description('Resource ids of existing private DNS zones, by kind; an empty object: a policy registers endpoints; null: make zones')
param privateDnsZoneIds { *: string }?

@description('Most instances at once')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Whether to spread instances over availability zones')
param zoneRedundant bool = false

@description('What a deployment does to running executions: Recreate ends them, RollingUpdate (preview) lets them finish')
@allowed(['Recreate', 'RollingUpdate'])
param updateStrategy string = 'Recreate'

@description('Redundancy of the storage accounts')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('platform or double; Azure takes double only when it creates an account')
@allowed(['platform', 'double'])
param storageEncryption string = 'platform'

@description('Days after which the raw files of a snapshot move to the cool tier')
@minValue(1)
param rawCoolAfterDays int = 30

@description('Days after which the raw files of a snapshot are deleted')
@minValue(2)
param rawDeleteAfterDays int = 365

@description('Days after which the state of a run is deleted, if the app has not deleted it')
@minValue(31)
param stateDeleteAfterDays int = 60

@description('Days after which an operation is deleted, if the app has not deleted it; it keeps what waits for a person young')
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

@description('true once the immutability policy is locked; then this deployment does not change it')
param evidenceLocked bool = false

@description('Days for which telemetry is kept')
@minValue(30)
@maxValue(730)
param logDays int = 90

@description('Addresses that alerts are mailed to')
param alertEmails string[] = []

@description('Budget of the resource group for a month, in the currency of the subscription; 0: none')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the first month of the budget; it can never change')
param monthlyBudgetFrom string = ''

@description('Whether to deploy the sample Logic App, which needs entraClientId')
param sampleLogicApp bool = false

// All names come from this seed. It never changes, so that an existing environment keeps its storage and its vault.
var suffix = uniqueString(subscription().id, environmentName, location)
var name = '${environmentName}-${take(suffix, 5)}'
var names = {
  app: resourceNames.?app ?? 'func-${name}'
  vault: resourceNames.?vault ?? 'kv-${suffix}'
  host: resourceNames.?host ?? 'sthost${suffix}'
  data: resourceNames.?data ?? 'stdata${suffix}'
  tables: resourceNames.?tables ?? 'sttables${suffix}'
}

// Ids are computed from names, so that a preview can show them before the resources exist.
var ids = {
  app: resourceId('Microsoft.Web/sites', names.app)
  vault: resourceId('Microsoft.KeyVault/vaults', names.vault)
  host: resourceId('Microsoft.Storage/storageAccounts', names.host)
  data: resourceId('Microsoft.Storage/storageAccounts', names.data)
  tables: resourceId('Microsoft.Storage/storageAccounts', names.tables)
  identity: empty(identityId)
    ? resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'id-${name}')
    : identityId
  workspace: empty(workspaceId) ? resourceId('Microsoft.OperationalInsights/workspaces', 'log-${name}') : workspaceId
  insights: resourceId('Microsoft.Insights/components', 'appi-${name}')
  actionGroup: resourceId('Microsoft.Insights/actionGroups', 'ag-${name}')
  network: resourceId('Microsoft.Network/virtualNetworks', 'vnet-${name}')
}

var allTags = union(tags, { 'azd-env-name': environmentName })
var packageContainer = 'app-package'
var inventoryContainer = 'inventory'
var evidenceContainer = 'opus-evidence'
var tablesContainer = 'tables'
var writtenContainers = [inventoryContainer, 'harvest-state', 'opus-operations', evidenceContainer]
var queues = [
  'harvest-slices'
  'harvest-slices-poison'
  'opus-operations'
  'opus-operations-poison'
  'table-builds'
  'table-builds-poison'
]

var open = network != 'private'
var networked = network != 'public'
var ownNetwork = networked && empty(appSubnetId)
var appSubnet = ownNetwork ? '${ids.network}/subnets/app' : appSubnetId
var endpointSubnet = ownNetwork ? '${ids.network}/subnets/endpoints' : endpointSubnetId
var subnetNetworks = map([appSubnet, endpointSubnet], subnet => join(take(split(subnet, '/'), 9), '/'))
// Ids are the same in whatever case.
var networkIds = toLower(subnetNetworks[0]) == toLower(subnetNetworks[1]) ? [subnetNetworks[0]] : subnetNetworks
var ownZones = networked && privateDnsZoneIds == null
var zones = loadJsonContent('private-dns-zones.json')
var zoneNames = toObject(items(zones), zone => zone.key, zone => zone.value[environment().name])
var zoneIds = privateDnsZoneIds ?? toObject(
  items(zones),
  zone => zone.key,
  zone => resourceId('Microsoft.Network/privateDnsZones', zone.value[environment().name])
)

// The name of a role assignment contains the id of its principal, as in existing environments: Azure refuses the same
// assignment under another name. A preview shows each assignment, without its final name.
var principals = {
  app: { id: identity.outputs.principalId, type: 'ServicePrincipal' }
  administrator: { id: administratorPrincipalId, type: administratorPrincipalType }
  readers: { id: readersPrincipalId, type: readersPrincipalType }
}
var administrator = empty(administratorPrincipalId) ? [] : ['administrator']
var readers = empty(readersPrincipalId) ? [] : ['readers']
// If administrator and readers are the same, the role is assigned once: Azure refuses a second assignment.
var tableReaders = toLower(administratorPrincipalId) == toLower(readersPrincipalId)
  ? readers
  : concat(administrator, readers)

func grantsOf(whom who[], roles string[]) grant[] =>
  flatten(map(whom, to => map(roles, role => { to: to, role: role })))

func grantsOn(whom who[], containers string[], role string) grant[] =>
  flatten(map(whom, to => map(containers, container => { to: to, role: role, container: container })))

module identity 'modules/identity.bicep' = {
  params: {
    name: 'id-${name}'
    location: location
    tags: allTags
    identityId: identityId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    name: name
    location: location
    tags: allTags
    #disable-next-line what-if-short-circuiting // see principals
    publisherPrincipalId: identity.outputs.principalId
    assignRoles: assignRoles
    workspaceId: workspaceId
    retentionDays: logDays
    emails: alertEmails
  }
}

// The Functions host keeps its locks, keys and timers here, and the deployed package.
module hostStorage 'modules/storage.bicep' = {
  params: {
    name: names.host
    location: location
    tags: allTags
    sku: storageSku
    encryption: storageEncryption
    open: open
    containers: [packageContainer]
    softDeleteDays: softDeleteDays
    lifecycle: hostRules(softDeleteDays)
    assignRoles: assignRoles
    #disable-next-line what-if-short-circuiting // see principals
    principals: principals
    grants: grantsOf(
      ['app'],
      ['Storage Blob Data Owner', 'Storage Queue Data Contributor', 'Storage Table Data Contributor']
    )
  }
}

module dataStorage 'modules/storage.bicep' = {
  dependsOn: [monitoring]
  params: {
    name: names.data
    location: location
    tags: allTags
    sku: storageSku
    encryption: storageEncryption
    open: open
    containers: writtenContainers
    queues: queues
    softDeleteDays: softDeleteDays
    lifecycle: dataRules(
      rawCoolAfterDays,
      rawDeleteAfterDays,
      stateDeleteAfterDays,
      operationDeleteAfterDays,
      softDeleteDays
    )
    immutableContainer: evidenceLocked ? '' : evidenceContainer
    immutableDays: evidenceDays
    workspaceId: ids.workspace
    events: snapshotEvents
    assignRoles: assignRoles
    #disable-next-line what-if-short-circuiting // see principals
    principals: principals
    grants: concat(
      grantsOn(['app'], writtenContainers, 'Storage Blob Data Contributor'),
      grantsOn(administrator, [inventoryContainer, evidenceContainer], 'Storage Blob Data Reader'),
      map(queues, queue => { to: 'app', role: 'Storage Queue Data Contributor', queue: queue })
    )
  }
}

// Power BI, Fabric and Synapse read tables from an account with a hierarchical namespace, which has no versions.
module tablesStorage 'modules/storage.bicep' = {
  params: {
    name: names.tables
    location: location
    tags: allTags
    sku: storageSku
    encryption: storageEncryption
    open: open
    hierarchical: true
    containers: [tablesContainer]
    softDeleteDays: softDeleteDays
    assignRoles: assignRoles
    #disable-next-line what-if-short-circuiting // see principals
    principals: principals
    grants: concat(
      grantsOn(['app'], [tablesContainer], 'Storage Blob Data Contributor'),
      grantsOn(tableReaders, [tablesContainer], 'Storage Blob Data Reader')
    )
  }
}

module vault 'modules/vault.bicep' = {
  dependsOn: [monitoring]
  params: {
    name: names.vault
    location: location
    tags: allTags
    open: open
    secretNames: secretNames
    secretValues: secretValues
    secretsExpireOn: secretsExpireOn
    workspaceId: ids.workspace
    actionGroupId: ids.actionGroup
    assignRoles: assignRoles
    #disable-next-line what-if-short-circuiting // see principals
    principals: principals
    grants: concat(
      grantsOf(['app'], ['Key Vault Secrets User']),
      grantsOf(administrator, ['Key Vault Secrets Officer', 'Key Vault Certificates Officer'])
    )
  }
}

module privateNetwork 'modules/network.bicep' = if (ownNetwork) {
  params: {
    name: name
    location: location
    tags: allTags
    addressPrefix: networkAddressPrefix
    natGatewayId: natGatewayId
    routeTableId: routeTableId
  }
}

module dnsZones 'modules/zones.bicep' = if (ownZones) {
  dependsOn: [privateNetwork]
  params: {
    name: name
    tags: allTags
    kinds: objectKeys(zones)
    zoneNames: zoneNames
    networkIds: networkIds
  }
}

module app 'modules/app.bicep' = {
  dependsOn: [privateNetwork]
  params: {
    siteName: names.app
    planName: 'plan-${name}'
    location: location
    tags: allTags
    identityId: ids.identity
    identityClientId: identity.outputs.clientId
    settings: union(appSettings, { AVEPOINT_DATA_CENTER: dataCenter, AVEPOINT_CLIENT_ID: clientId })
    disabledFunctions: disabledFunctions
    hostAccountName: names.host
    hostBlobEndpoint: hostStorage.outputs.blobEndpoint
    hostQueueEndpoint: hostStorage.outputs.queueEndpoint
    hostTableEndpoint: hostStorage.outputs.tableEndpoint
    dataBlobEndpoint: dataStorage.outputs.blobEndpoint
    dataQueueEndpoint: dataStorage.outputs.queueEndpoint
    tablesBlobEndpoint: tablesStorage.outputs.blobEndpoint
    vaultUrl: vault.outputs.url
    insightsConnectionString: monitoring.outputs.connectionString
    packageContainer: packageContainer
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
    entraClientId: entraClientId
    allowedIpRanges: allowedIpRanges
    open: open
    subnetId: networked ? appSubnet : ''
  }
}

// Three are made at a time. A storage account takes one change at a time, so no three in a row share an account.
var endpoints = [
  { name: 'host', groupId: 'blob' }
  { name: 'data', groupId: 'blob' }
  { name: 'tables', groupId: 'blob' }
  { name: 'host', groupId: 'queue' }
  { name: 'data', groupId: 'queue' }
  { name: 'tables', groupId: 'dfs' }
  { name: 'host', groupId: 'table' }
  { name: 'vault', groupId: 'vault' }
  { name: 'app', groupId: 'sites' }
]

@batchSize(3)
module endpoint 'modules/endpoint.bicep' = [
  for item in networked ? endpoints : []: {
    dependsOn: [hostStorage, dataStorage, tablesStorage, vault, app, privateNetwork, dnsZones]
    params: {
      name: '${item.name}-${name}'
      location: location
      tags: allTags
      targetId: ids[item.name]
      groupId: item.groupId
      subnetId: endpointSubnet
      zoneId: zoneIds[?item.groupId] ?? ''
    }
  }
]

module alerts 'modules/alerts.bicep' = {
  dependsOn: [monitoring]
  params: {
    name: name
    location: location
    tags: allTags
    insightsId: ids.insights
    actionGroupId: ids.actionGroup
  }
}

module workbook 'modules/workbook.bicep' = {
  dependsOn: [monitoring]
  params: {
    location: location
    tags: allTags
    insightsId: ids.insights
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  dependsOn: [monitoring]
  params: {
    name: name
    amount: monthlyBudget
    from: monthlyBudgetFrom
    actionGroupId: ids.actionGroup
  }
}

// Where callers reach the app: a gateway, if there is one in front of it.
var publicUrl = appSettings.?PUBLIC_URL ?? ''
var address = endsWith(publicUrl, '/') ? take(publicUrl, length(publicUrl) - 1) : publicUrl

module logicApp 'modules/logic-app.bicep' = if (sampleLogicApp && !empty(entraClientId)) {
  params: {
    name: name
    location: location
    tags: allTags
    appUrl: empty(address) ? app.outputs.url : address
    audience: 'api://${entraClientId}'
  }
}

@description('Name of the function app')
output FUNCTION_APP_NAME string = names.app

@description('URL of the app; /api/health answers whether it is healthy')
output FUNCTION_APP_URL string = app.outputs.url

@description('Name of the vault for secrets and certificates')
output KEY_VAULT_NAME string = names.vault

@description('Storage account of inventories and evidence')
output DATA_STORAGE_ACCOUNT string = names.data

@description('Storage account of the container tables')
output TABLES_STORAGE_ACCOUNT string = names.tables

@description('Container that has the immutability policy')
output EVIDENCE_CONTAINER string = evidenceContainer

@description('Object id of the identity of the app, for roles outside this resource group')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Object id of the sample Logic App, for the app role Harvest.Start; empty: there is none')
output LOGIC_APP_PRINCIPAL_ID string = sampleLogicApp && !empty(entraClientId) ? logicApp!.outputs.principalId : ''

@description('Name of the Event Grid topic for published snapshots; empty: there is none')
output SNAPSHOT_EVENTS_TOPIC string = snapshotEvents ? '${names.data}-events' : ''

@description('Roles to assign by hand, if ASSIGN_ROLES is false')
output ROLES_TO_ASSIGN assignment[] = assignRoles
  ? []
  : concat(
      hostStorage.outputs.assignments,
      dataStorage.outputs.assignments,
      tablesStorage.outputs.assignments,
      vault.outputs.assignments,
      monitoring.outputs.assignments
    )

var givenZones = join(map(items(privateDnsZoneIds ?? {}), zone => '${zone.key}=${zone.value}'), ',')

// Every variable in force, under its own name: azd env refresh reads these on another computer.
output AZURE_RESOURCE_GROUP string = resourceGroup().name
output AZURE_LOCATION string = location
output AZURE_ENV_NAME string = environmentName
output AVEPOINT_DATA_CENTER string = dataCenter
output AVEPOINT_CLIENT_ID string = clientId
output APP_SETTINGS string = string(appSettings)
output READERS_PRINCIPAL_ID string = readersPrincipalId
output READERS_PRINCIPAL_TYPE string = readersPrincipalType
output SNAPSHOT_EVENTS string = toLower(string(snapshotEvents))
output AZURE_PRINCIPAL_ID string = administratorPrincipalId
output AZURE_PRINCIPAL_TYPE string = administratorPrincipalType
output ALERT_EMAILS string = join(alertEmails, ',')
output MONTHLY_BUDGET string = monthlyBudget == 0 ? '' : string(monthlyBudget)
output MONTHLY_BUDGET_FROM string = monthlyBudgetFrom
output ENTRA_CLIENT_ID string = entraClientId
output ALLOWED_IP_RANGES string = join(allowedIpRanges, ',')
output NETWORK string = network
output NETWORK_ADDRESS_PREFIX string = networkAddressPrefix
output APP_SUBNET_ID string = appSubnetId
output ENDPOINT_SUBNET_ID string = endpointSubnetId
output PRIVATE_DNS_ZONE_IDS string = privateDnsZoneIds == null
  ? ''
  : empty(privateDnsZoneIds ?? {}) ? 'none' : givenZones
output NAT_GATEWAY_ID string = natGatewayId
output ROUTE_TABLE_ID string = routeTableId
output ASSIGN_ROLES string = toLower(string(assignRoles))
output IDENTITY_ID string = identityId
output WORKSPACE_ID string = workspaceId
output UPDATE_STRATEGY string = updateStrategy
output ZONE_REDUNDANT string = toLower(string(zoneRedundant))
output MAXIMUM_INSTANCES string = string(maximumInstanceCount)
output INSTANCE_MEMORY_MB string = string(instanceMemoryMB)
output STORAGE_SKU string = storageSku
output STORAGE_ENCRYPTION string = storageEncryption
output RETENTION_DAYS string = 'raw-cool=${rawCoolAfterDays},raw=${rawDeleteAfterDays},runs=${stateDeleteAfterDays},operations=${operationDeleteAfterDays},deleted=${softDeleteDays},evidence=${evidenceDays},logs=${logDays}'
output DISABLED_FUNCTIONS string = join(disabledFunctions, ',')
output RESOURCE_NAMES string = join(map(items(resourceNames), item => '${item.key}=${item.value}'), ',')
output TAGS string = join(map(items(tags), tag => '${tag.key}=${tag.value}'), ',')
output EVIDENCE_LOCKED string = toLower(string(evidenceLocked))
output SAMPLE_LOGIC_APP string = toLower(string(sampleLogicApp))
