using './main.bicep'

// Every choice is read from the environment: from `azd env set NAME value`, or from the variables of a pipeline. An empty
// variable counts as not set, and null leaves a parameter at its default. A wrong value is refused here, before anything
// is sent to Azure. infra/README.md lists the variables.
import * as check from 'checks.bicep'

// What the environment is, and where.

var AZURE_ENV_NAME = trim(readEnvironmentVariable('AZURE_ENV_NAME', ''))
param environmentName = check.isName(AZURE_ENV_NAME, 1, 20, true)
  ? AZURE_ENV_NAME
  : fail(check.refusal('AZURE_ENV_NAME', AZURE_ENV_NAME, 'at most 20 lower-case letters, digits and hyphens'))

var AZURE_LOCATION = trim(readEnvironmentVariable('AZURE_LOCATION', ''))
param location = empty(AZURE_LOCATION)
  ? null
  : check.isName(AZURE_LOCATION, 1, 60, true)
      ? AZURE_LOCATION
      : fail(check.refusal('AZURE_LOCATION', AZURE_LOCATION, 'the short name of a region, such as westeurope'))

var TAGS = check.listOf(readEnvironmentVariable('TAGS', ''))
var tagPairs = map(TAGS, tag => check.pairOf(tag))
var wrongTags = filter(TAGS, tag => !check.isTag(tag))
param tags = !empty(wrongTags)
  ? fail(check.refusal(
      'TAGS',
      wrongTags[0],
      'name=value,…, with at most 128 and 256 characters, no <>%&\\?/ in a name, and no tag of azd'
    ))
  : !check.areDistinct(map(tagPairs, tag => tag.name))
      ? fail('TAGS gives a tag twice: type each name once.')
      : length(TAGS) > 48
          ? fail('TAGS has ${length(TAGS)} tags: type at most 48, since Azure takes 50 and two are set here.')
          : length(TAGS) > 14 && ownZones
              ? fail('TAGS has ${length(TAGS)} tags: type at most 14, since a private DNS zone takes 15 and one is set here; or set PRIVATE_DNS_ZONE_IDS.')
              : toObject(tagPairs, tag => tag.name, tag => tag.value)

var RESOURCE_NAMES = check.listOf(readEnvironmentVariable('RESOURCE_NAMES', ''))
var resourcePairs = map(RESOURCE_NAMES, pair => check.pairOf(pair))
var wrongNames = filter(
  RESOURCE_NAMES,
  pair => !check.isResourceName(check.pairOf(pair).name, check.pairOf(pair).value)
)
param resourceNames = !empty(wrongNames)
  ? fail(check.refusal(
      'RESOURCE_NAMES',
      wrongNames[0],
      'kind=name,… with the kinds app (2 to 60 letters, digits, hyphens), vault (3 to 24 of them, a letter first), neither with a hyphen at an end, and host, data, tables (3 to 24 lower-case letters and digits)'
    ))
  : !check.areDistinct(map(resourcePairs, pair => pair.name)) || !check.areDistinct(map(
        filter(resourcePairs, pair => contains(['host', 'data', 'tables'], pair.name)),
        pair => pair.value
      ))
      ? fail('RESOURCE_NAMES gives a kind or a name twice: type each once.')
      : toObject(resourcePairs, pair => pair.name, pair => pair.value)

// The app.

var AVEPOINT_DATA_CENTER = trim(readEnvironmentVariable('AVEPOINT_DATA_CENTER', ''))
var dataCenters = loadJsonContent('data-centers.json')
param dataCenter = contains(dataCenters, AVEPOINT_DATA_CENTER)
  ? AVEPOINT_DATA_CENTER
  : fail(check.refusal('AVEPOINT_DATA_CENTER', AVEPOINT_DATA_CENTER, 'one of ${join(dataCenters, ', ')}'))

var AVEPOINT_CLIENT_ID = trim(readEnvironmentVariable('AVEPOINT_CLIENT_ID', ''))
param clientId = !empty(AVEPOINT_CLIENT_ID) && !contains(AVEPOINT_CLIENT_ID, ' ')
  ? AVEPOINT_CLIENT_ID
  : fail(check.refusal(
      'AVEPOINT_CLIENT_ID',
      AVEPOINT_CLIENT_ID,
      'the client id of the app registration in AvePoint Online Services'
    ))

var APP_SETTINGS = trim(readEnvironmentVariable('APP_SETTINGS', ''))
var isObject = startsWith(APP_SETTINGS, '{')
var settings = items(json(isObject ? APP_SETTINGS : '{}'))
var settingNames = map(settings, setting => setting.key)
var known = loadJsonContent('app-settings.json')
var refusedSettings = concat(
  isObject || empty(APP_SETTINGS)
    ? []
    : ['is not a JSON object: type one such as {"HARVEST_GRAPH_DATASETS": "enpower-*"}.'],
  map(
    filter(settingNames, name => contains(known.secret, name)),
    name => 'names ${name}, which holds a secret: leave it out, and put the secret into the vault.'
  ),
  map(
    filter(settingNames, name => contains(known.computed, name)),
    name => 'names ${name}, which the deployment sets by itself: leave it out.'
  ),
  map(
    filter(settingNames, name => contains(known.variables, name)),
    name => 'names ${name}, which is a variable of its own: leave it out, and set that variable.'
  ),
  map(
    filter(settingNames, name => !contains(flatten(map(items(known), kind => kind.value)), name)),
    name => 'names ${name}, which is not a setting of the app: type a name of docs/configuration.md.'
  ),
  map(
    filter(settings, setting => !check.isSingle(setting)),
    setting => 'gives ${setting.key} no single value: type a text, a number, true or false.'
  ),
  map(
    filter(
      settings,
      setting =>
        (endsWith(setting.key, '_SECRET_NAME') || endsWith(setting.key, '_CERTIFICATE_NAME')) && !check.isName(
          check.textOf(setting),
          1,
          127,
          false
        )
    ),
    setting => 'gives ${setting.key} a name that no vault has: type letters, digits and hyphens.'
  ),
  map(
    filter(settings, setting => endsWith(setting.key, '_SCHEDULE') && !check.isSchedule(check.textOf(setting))),
    setting =>
      'gives ${setting.key} no schedule, without which the app does not start: type six fields with one blank between them, such as 0 0 2 * * *.'
  ),
  map(
    filter(settings, setting => endsWith(setting.key, '_PROXY') && contains(check.textOf(setting), '@')),
    setting =>
      'gives a password in ${setting.key}, which everybody who may look at the app would see: type an address without one.'
  )
)
param appSettings = empty(refusedSettings)
  ? toObject(settings, setting => setting.key, setting => check.textOf(setting))
  : fail(join(map(refusedSettings, reason => 'APP_SETTINGS ${reason}'), ' '))

var DISABLED_FUNCTIONS = check.listOf(readEnvironmentVariable('DISABLED_FUNCTIONS', ''))
var functions = check.listOf(replace(loadTextContent('functions.txt'), '\n', ','))
var wrongFunctions = filter(DISABLED_FUNCTIONS, function => !contains(functions, function))
param disabledFunctions = empty(wrongFunctions)
  ? check.distinct(DISABLED_FUNCTIONS)
  : fail(check.refusal('DISABLED_FUNCTIONS', wrongFunctions[0], 'names of infra/functions.txt, separated by commas'))

var MAXIMUM_INSTANCES = trim(readEnvironmentVariable('MAXIMUM_INSTANCES', ''))
param maximumInstanceCount = empty(MAXIMUM_INSTANCES)
  ? null
  : check.isNumber(MAXIMUM_INSTANCES, 1, 1000)
      ? int(MAXIMUM_INSTANCES)
      : fail(check.refusal('MAXIMUM_INSTANCES', MAXIMUM_INSTANCES, 'a number from 1 to 1000'))

var INSTANCE_MEMORY_MB = trim(readEnvironmentVariable('INSTANCE_MEMORY_MB', ''))
param instanceMemoryMB = empty(INSTANCE_MEMORY_MB)
  ? null
  : INSTANCE_MEMORY_MB == '512'
      ? 512
      : INSTANCE_MEMORY_MB == '2048'
          ? 2048
          : INSTANCE_MEMORY_MB == '4096'
              ? 4096
              : fail(check.refusal('INSTANCE_MEMORY_MB', INSTANCE_MEMORY_MB, '512, 2048 or 4096'))

var UPDATE_STRATEGY = trim(readEnvironmentVariable('UPDATE_STRATEGY', ''))
param updateStrategy = empty(UPDATE_STRATEGY)
  ? null
  : contains(['Recreate', 'RollingUpdate'], UPDATE_STRATEGY)
      ? UPDATE_STRATEGY
      : fail(check.refusal('UPDATE_STRATEGY', UPDATE_STRATEGY, 'Recreate or RollingUpdate'))

var ZONE_REDUNDANT = trim(readEnvironmentVariable('ZONE_REDUNDANT', ''))
var STORAGE_SKU = trim(readEnvironmentVariable('STORAGE_SKU', ''))
param zoneRedundant = empty(ZONE_REDUNDANT)
  ? null
  : !check.isBoolean(ZONE_REDUNDANT)
      ? fail(check.refusal('ZONE_REDUNDANT', ZONE_REDUNDANT, 'true or false'))
      : ZONE_REDUNDANT == 'true' && contains(['Standard_LRS', 'Standard_GRS'], STORAGE_SKU)
          ? fail('ZONE_REDUNDANT is true, and STORAGE_SKU is ${STORAGE_SKU}, which stands in one zone: type Standard_ZRS or Standard_GZRS for STORAGE_SKU.')
          : bool(ZONE_REDUNDANT)

// Secrets, and who is who.

var AVEPOINT_CLIENT_SECRET = readEnvironmentVariable('AVEPOINT_CLIENT_SECRET', '')
var secretGiven = !empty(trim(AVEPOINT_CLIENT_SECRET))
var namedSecrets = filter(settings, setting => setting.key == 'AVEPOINT_CLIENT_SECRET_NAME')
var secretName = empty(namedSecrets) ? 'avepoint-client-secret' : check.textOf(namedSecrets[0])
param secretNames = secretGiven ? [secretName] : []
param secretValues = secretGiven ? { '${secretName}': AVEPOINT_CLIENT_SECRET } : {}

var AVEPOINT_CLIENT_SECRET_EXPIRES_ON = trim(readEnvironmentVariable('AVEPOINT_CLIENT_SECRET_EXPIRES_ON', ''))
param secretsExpireOn = empty(AVEPOINT_CLIENT_SECRET_EXPIRES_ON) && !secretGiven
  ? null
  : check.isTime(AVEPOINT_CLIENT_SECRET_EXPIRES_ON)
      ? AVEPOINT_CLIENT_SECRET_EXPIRES_ON
      : fail(check.refusal(
          'AVEPOINT_CLIENT_SECRET_EXPIRES_ON',
          AVEPOINT_CLIENT_SECRET_EXPIRES_ON,
          'the day on which the secret ends, such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z'
        ))

var AZURE_PRINCIPAL_ID = trim(readEnvironmentVariable('AZURE_PRINCIPAL_ID', ''))
param administratorPrincipalId = empty(AZURE_PRINCIPAL_ID)
  ? null
  : check.isGuid(AZURE_PRINCIPAL_ID)
      ? AZURE_PRINCIPAL_ID
      : fail(check.refusal(
          'AZURE_PRINCIPAL_ID',
          AZURE_PRINCIPAL_ID,
          'the object id of a group, a user or a service principal, which is a GUID'
        ))

var principalTypes = ['User', 'Group', 'ServicePrincipal']
var AZURE_PRINCIPAL_TYPE = trim(readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', ''))
param administratorPrincipalType = empty(AZURE_PRINCIPAL_TYPE)
  ? null
  : contains(principalTypes, AZURE_PRINCIPAL_TYPE)
      ? AZURE_PRINCIPAL_TYPE
      : fail(check.refusal('AZURE_PRINCIPAL_TYPE', AZURE_PRINCIPAL_TYPE, 'User, Group or ServicePrincipal'))

var READERS_PRINCIPAL_ID = trim(readEnvironmentVariable('READERS_PRINCIPAL_ID', ''))
param readersPrincipalId = empty(READERS_PRINCIPAL_ID)
  ? null
  : check.isGuid(READERS_PRINCIPAL_ID)
      ? READERS_PRINCIPAL_ID
      : fail(check.refusal(
          'READERS_PRINCIPAL_ID',
          READERS_PRINCIPAL_ID,
          'the object id of a group, a user or a service principal, which is a GUID'
        ))

var READERS_PRINCIPAL_TYPE = trim(readEnvironmentVariable('READERS_PRINCIPAL_TYPE', ''))
param readersPrincipalType = empty(READERS_PRINCIPAL_TYPE)
  ? null
  : contains(principalTypes, READERS_PRINCIPAL_TYPE)
      ? READERS_PRINCIPAL_TYPE
      : fail(check.refusal('READERS_PRINCIPAL_TYPE', READERS_PRINCIPAL_TYPE, 'User, Group or ServicePrincipal'))

var ASSIGN_ROLES = trim(readEnvironmentVariable('ASSIGN_ROLES', ''))
param assignRoles = empty(ASSIGN_ROLES)
  ? null
  : check.isBoolean(ASSIGN_ROLES)
      ? bool(ASSIGN_ROLES)
      : fail(check.refusal('ASSIGN_ROLES', ASSIGN_ROLES, 'true or false'))

var IDENTITY_ID = trim(readEnvironmentVariable('IDENTITY_ID', ''))
param identityId = empty(IDENTITY_ID) || check.isResourceId(
    IDENTITY_ID,
    'Microsoft.ManagedIdentity/userAssignedIdentities'
  )
  ? IDENTITY_ID
  : fail(check.refusal('IDENTITY_ID', IDENTITY_ID, check.idOf('Microsoft.ManagedIdentity/userAssignedIdentities')))

var ENTRA_CLIENT_ID = trim(readEnvironmentVariable('ENTRA_CLIENT_ID', ''))
param entraClientId = empty(ENTRA_CLIENT_ID) || check.isGuid(ENTRA_CLIENT_ID)
  ? ENTRA_CLIENT_ID
  : fail(check.refusal(
      'ENTRA_CLIENT_ID',
      ENTRA_CLIENT_ID,
      'the client id of an app registration in Entra ID, which is a GUID'
    ))

var SAMPLE_LOGIC_APP = trim(readEnvironmentVariable('SAMPLE_LOGIC_APP', ''))
param sampleLogicApp = empty(SAMPLE_LOGIC_APP)
  ? null
  : !check.isBoolean(SAMPLE_LOGIC_APP)
      ? fail(check.refusal('SAMPLE_LOGIC_APP', SAMPLE_LOGIC_APP, 'true or false'))
      : SAMPLE_LOGIC_APP == 'true' && empty(ENTRA_CLIENT_ID)
          ? fail('SAMPLE_LOGIC_APP is true, and ENTRA_CLIENT_ID is empty: the Logic App has to sign in, so set ENTRA_CLIENT_ID too.')
          : bool(SAMPLE_LOGIC_APP)

// The network.

var APP_SUBNET_ID = trim(readEnvironmentVariable('APP_SUBNET_ID', ''))
var NETWORK = trim(readEnvironmentVariable('NETWORK', ''))
param network = empty(NETWORK)
  ? null
  : contains(['public', 'both', 'private'], NETWORK)
      ? NETWORK
      : fail(check.refusal('NETWORK', NETWORK, 'public, both or private'))

var ENDPOINT_SUBNET_ID = trim(readEnvironmentVariable('ENDPOINT_SUBNET_ID', ''))
var subnetType = 'Microsoft.Network/virtualNetworks/subnets'
var networked = contains(['both', 'private'], NETWORK)
param appSubnetId = empty(APP_SUBNET_ID) != empty(ENDPOINT_SUBNET_ID)
  ? fail('${empty(APP_SUBNET_ID) ? 'APP_SUBNET_ID is empty and ENDPOINT_SUBNET_ID is not' : 'ENDPOINT_SUBNET_ID is empty and APP_SUBNET_ID is not'}: type both, or neither.')
  : empty(APP_SUBNET_ID)
      ? null
      : !check.isResourceId(APP_SUBNET_ID, subnetType)
          ? fail(check.refusal('APP_SUBNET_ID', APP_SUBNET_ID, check.idOf(subnetType)))
          : contains(last(split(APP_SUBNET_ID, '/')), '_')
              ? fail('APP_SUBNET_ID names a subnet with an underscore in its name, which Flex Consumption refuses: type another one.')
              : toLower(APP_SUBNET_ID) == toLower(ENDPOINT_SUBNET_ID)
                  ? fail('APP_SUBNET_ID and ENDPOINT_SUBNET_ID are the same: type two subnets, since the one of the app is delegated and takes no endpoints.')
                  : networked
                      ? APP_SUBNET_ID
                      : fail('APP_SUBNET_ID is given, and NETWORK makes no private endpoints: type both or private for NETWORK.')
param endpointSubnetId = empty(ENDPOINT_SUBNET_ID) || check.isResourceId(ENDPOINT_SUBNET_ID, subnetType)
  ? ENDPOINT_SUBNET_ID
  : fail(check.refusal('ENDPOINT_SUBNET_ID', ENDPOINT_SUBNET_ID, check.idOf(subnetType)))

var PRIVATE_DNS_ZONE_IDS = trim(readEnvironmentVariable('PRIVATE_DNS_ZONE_IDS', ''))
var ownZones = networked && empty(PRIVATE_DNS_ZONE_IDS)
var zonePairs = map(check.listOf(PRIVATE_DNS_ZONE_IDS), pair => check.pairOf(pair))
var zoneKinds = ['blob', 'queue', 'table', 'dfs', 'vault', 'sites']
var wrongZones = filter(zonePairs, zone => !check.isResourceId(zone.value, 'Microsoft.Network/privateDnsZones'))
var missingZones = filter(zoneKinds, kind => !contains(map(zonePairs, zone => zone.name), kind))
param privateDnsZoneIds = empty(PRIVATE_DNS_ZONE_IDS)
  ? null
  : !networked
      ? fail('PRIVATE_DNS_ZONE_IDS is given, and NETWORK makes no private endpoints: type both or private for NETWORK.')
      : PRIVATE_DNS_ZONE_IDS == 'none'
          ? {}
          : !empty(missingZones)
              ? fail('PRIVATE_DNS_ZONE_IDS has no ${missingZones[0]}: type all six, blob=…,queue=…,table=…,dfs=…,vault=…,sites=…, or none where a policy registers.')
              : length(zonePairs) > length(zoneKinds)
                  ? fail('PRIVATE_DNS_ZONE_IDS has more than six: type each of ${join(zoneKinds, ', ')} once.')
                  : !empty(wrongZones)
                      ? fail(check.refusal(
                          'PRIVATE_DNS_ZONE_IDS',
                          '${wrongZones[0].name}=${wrongZones[0].value}',
                          check.idOf('Microsoft.Network/privateDnsZones')
                        ))
                      : toObject(zonePairs, zone => zone.name, zone => zone.value)

var ownNetwork = networked && empty(APP_SUBNET_ID)
var NAT_GATEWAY_ID = trim(readEnvironmentVariable('NAT_GATEWAY_ID', ''))
param natGatewayId = empty(NAT_GATEWAY_ID)
  ? null
  : !check.isResourceId(NAT_GATEWAY_ID, 'Microsoft.Network/natGateways')
      ? fail(check.refusal('NAT_GATEWAY_ID', NAT_GATEWAY_ID, check.idOf('Microsoft.Network/natGateways')))
      : ownNetwork
          ? NAT_GATEWAY_ID
          : fail('NAT_GATEWAY_ID is for subnets that are made here, and none are: type both or private for NETWORK without APP_SUBNET_ID, or leave it empty.')

var ROUTE_TABLE_ID = trim(readEnvironmentVariable('ROUTE_TABLE_ID', ''))
param routeTableId = empty(ROUTE_TABLE_ID)
  ? null
  : !check.isResourceId(ROUTE_TABLE_ID, 'Microsoft.Network/routeTables')
      ? fail(check.refusal('ROUTE_TABLE_ID', ROUTE_TABLE_ID, check.idOf('Microsoft.Network/routeTables')))
      : ownNetwork
          ? ROUTE_TABLE_ID
          : fail('ROUTE_TABLE_ID is for subnets that are made here, and none are: type both or private for NETWORK without APP_SUBNET_ID, or leave it empty.')

var NETWORK_ADDRESS_PREFIX = trim(readEnvironmentVariable('NETWORK_ADDRESS_PREFIX', ''))
param networkAddressPrefix = empty(NETWORK_ADDRESS_PREFIX)
  ? null
  : check.isNetwork(NETWORK_ADDRESS_PREFIX)
      ? NETWORK_ADDRESS_PREFIX
      : fail(check.refusal(
          'NETWORK_ADDRESS_PREFIX',
          NETWORK_ADDRESS_PREFIX,
          'a range of IPv4 from /8 to /24, such as 10.60.0.0/24, without addresses that Azure keeps for itself'
        ))

var ALLOWED_IP_RANGES = check.listOf(readEnvironmentVariable('ALLOWED_IP_RANGES', ''))
var wrongRanges = filter(ALLOWED_IP_RANGES, range => !check.isRange(range))
param allowedIpRanges = empty(wrongRanges)
  ? check.distinct(map(ALLOWED_IP_RANGES, range => check.rangeOf(range)))
  : fail(check.refusal('ALLOWED_IP_RANGES', wrongRanges[0], 'ranges such as 203.0.113.0/24, separated by commas'))

// Storage, and what is kept for how long.

param storageSku = empty(STORAGE_SKU)
  ? null
  : contains(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'], STORAGE_SKU)
      ? STORAGE_SKU
      : fail(check.refusal('STORAGE_SKU', STORAGE_SKU, 'Standard_LRS, Standard_ZRS, Standard_GRS or Standard_GZRS'))

var STORAGE_ENCRYPTION = trim(readEnvironmentVariable('STORAGE_ENCRYPTION', ''))
param storageEncryption = empty(STORAGE_ENCRYPTION)
  ? null
  : contains(['platform', 'double'], STORAGE_ENCRYPTION)
      ? STORAGE_ENCRYPTION
      : fail(check.refusal('STORAGE_ENCRYPTION', STORAGE_ENCRYPTION, 'platform or double'))

var EVIDENCE_LOCKED = trim(readEnvironmentVariable('EVIDENCE_LOCKED', ''))
param evidenceLocked = empty(EVIDENCE_LOCKED)
  ? null
  : check.isBoolean(EVIDENCE_LOCKED)
      ? bool(EVIDENCE_LOCKED)
      : fail(check.refusal('EVIDENCE_LOCKED', EVIDENCE_LOCKED, 'true or false'))

var SNAPSHOT_EVENTS = trim(readEnvironmentVariable('SNAPSHOT_EVENTS', ''))
param snapshotEvents = empty(SNAPSHOT_EVENTS)
  ? null
  : check.isBoolean(SNAPSHOT_EVENTS)
      ? bool(SNAPSHOT_EVENTS)
      : fail(check.refusal('SNAPSHOT_EVENTS', SNAPSHOT_EVENTS, 'true or false'))

var RETENTION_DAYS = check.listOf(readEnvironmentVariable('RETENTION_DAYS', ''))
var keptPairs = map(RETENTION_DAYS, pair => check.pairOf(pair))
var wrongDays = filter(keptPairs, pair => !check.isRetention(pair.name, pair.value))
var onceEach = check.areDistinct(map(keptPairs, pair => pair.name))
var days = toObject(
  filter(keptPairs, pair => onceEach && check.isRetention(pair.name, pair.value)),
  pair => pair.name,
  pair => int(pair.value)
)
param rawCoolAfterDays = !empty(wrongDays)
  ? fail(check.refusal(
      'RETENTION_DAYS',
      '${wrongDays[0].name}=${wrongDays[0].value}',
      'kind=days,… with the kinds raw-cool (1 or more), raw (2 or more), runs, operations (31 or more), deleted (1 to 365), evidence (1 to 146000) and logs (30 to 730)'
    ))
  : !onceEach ? fail('RETENTION_DAYS gives a kind twice: type each once.') : days[?'raw-cool']
param rawDeleteAfterDays = days.?raw
param stateDeleteAfterDays = days.?runs
param operationDeleteAfterDays = days.?operations
param softDeleteDays = days.?deleted
param evidenceDays = days.?evidence
param logDays = days.?logs

// Telemetry, who is told, and money.

var WORKSPACE_ID = trim(readEnvironmentVariable('WORKSPACE_ID', ''))
param workspaceId = empty(WORKSPACE_ID) || check.isResourceId(WORKSPACE_ID, 'Microsoft.OperationalInsights/workspaces')
  ? WORKSPACE_ID
  : fail(check.refusal('WORKSPACE_ID', WORKSPACE_ID, check.idOf('Microsoft.OperationalInsights/workspaces')))

var ALERT_EMAILS = check.listOf(readEnvironmentVariable('ALERT_EMAILS', ''))
var wrongEmails = filter(ALERT_EMAILS, email => !check.isEmail(email))
param alertEmails = empty(wrongEmails)
  ? check.distinct(ALERT_EMAILS)
  : fail(check.refusal('ALERT_EMAILS', wrongEmails[0], 'addresses such as records@contoso.com, separated by commas'))

var MONTHLY_BUDGET = trim(readEnvironmentVariable('MONTHLY_BUDGET', ''))
param monthlyBudget = empty(MONTHLY_BUDGET)
  ? null
  : check.isNumber(MONTHLY_BUDGET, 1, 999999999)
      ? int(MONTHLY_BUDGET)
      : fail(check.refusal('MONTHLY_BUDGET', MONTHLY_BUDGET, 'a whole amount in the currency of the subscription'))

var MONTHLY_BUDGET_FROM = trim(readEnvironmentVariable('MONTHLY_BUDGET_FROM', ''))
param monthlyBudgetFrom = empty(MONTHLY_BUDGET) && empty(MONTHLY_BUDGET_FROM)
  ? null
  : empty(MONTHLY_BUDGET)
      ? fail('MONTHLY_BUDGET is empty and MONTHLY_BUDGET_FROM is not: type both, or neither.')
      : check.isDay(MONTHLY_BUDGET_FROM) && endsWith(MONTHLY_BUDGET_FROM, '-01')
          ? MONTHLY_BUDGET_FROM
          : fail(check.refusal(
              'MONTHLY_BUDGET_FROM',
              MONTHLY_BUDGET_FROM,
              'the first day of the first month of the budget, such as 2027-01-01, which can never change'
            ))
