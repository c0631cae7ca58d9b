metadata description = 'The function app on Flex Consumption, its app settings, and who may call it.'

@description('Name of the site')
param siteName string

@description('Name of the plan')
param planName string
param location string
param tags object

@description('Resource id of the user-assigned identity of the app')
param identityId string
param identityClientId string

@description('The app settings that were chosen')
param settings { *: string }

@description('Functions that do not run')
param disabledFunctions string[]

@description('Storage account of the Functions host')
param hostAccountName string
param hostBlobEndpoint string
param hostQueueEndpoint string
param hostTableEndpoint string
param dataBlobEndpoint string
param dataQueueEndpoint string
param tablesBlobEndpoint string
param vaultUrl string
param insightsConnectionString string

@description('Container of the host account that holds the deployed package')
param packageContainer string

param maximumInstanceCount int
param instanceMemoryMB int

@description('Client id of the app registration that callers sign in to; empty: function keys')
param entraClientId string

@description('Address ranges that may call the app; empty: any')
param allowedIpRanges string[]

@description('Whether it can be reached from the internet')
param open bool

@description('Subnet that the app goes out through; empty: none')
param subnetId string

@description('Whether to spread instances over availability zones')
param zoneRedundant bool

@description('Recreate or RollingUpdate')
param updateStrategy string

var schedules = {
  HARVEST_ENPOWER_SCHEDULE: '0 0 1 * * *'
  HARVEST_GRAPH_SCHEDULE: '0 0 2 * * *'
  HARVEST_ELEMENTS_SCHEDULE: '0 0 3 * * *'
  SWEEP_SCHEDULE: '0 */10 * * * *'
}

var ownSettings = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
  AzureWebJobsStorage__accountName: hostAccountName
  AzureWebJobsStorage__blobServiceUri: hostBlobEndpoint
  AzureWebJobsStorage__queueServiceUri: hostQueueEndpoint
  AzureWebJobsStorage__tableServiceUri: hostTableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  INVENTORY_STORAGE__blobServiceUri: dataBlobEndpoint
  INVENTORY_STORAGE__queueServiceUri: dataQueueEndpoint
  INVENTORY_STORAGE__credential: 'managedidentity'
  INVENTORY_STORAGE__clientId: identityClientId
  TABLES_STORAGE__blobServiceUri: tablesBlobEndpoint
  TABLES_STORAGE__credential: 'managedidentity'
  TABLES_STORAGE__clientId: identityClientId
  KEY_VAULT_URL: vaultUrl
  AUTH_MODE: empty(entraClientId) ? 'key' : 'entra'
}

var switchedOff = toObject(disabledFunctions, function => 'AzureWebJobs.${function}.Disabled', function => 'true')

// The default is not sent. The other strategy is a preview that the types of Bicep do not contain, hence any().
var update = any(updateStrategy == 'Recreate' ? {} : { siteUpdateStrategy: { type: updateStrategy } })

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: siteName
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: open ? 'Enabled' : 'Disabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: union(
      {
        deployment: {
          storage: {
            type: 'blobContainer'
            value: '${hostBlobEndpoint}${packageContainer}'
            authentication: {
              type: 'UserAssignedIdentity'
              userAssignedIdentityResourceId: identityId
            }
          }
        }
        runtime: {
          name: 'python'
          version: '3.13'
        }
        scaleAndConcurrency: {
          maximumInstanceCount: maximumInstanceCount
          instanceMemoryMB: instanceMemoryMB
          triggers: {
            http: { perInstanceConcurrency: 16 }
          }
        }
      },
      update
    )
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: empty(allowedIpRanges) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: [
        for (range, i) in allowedIpRanges: {
          name: 'allowed-${i}'
          action: 'Allow'
          ipAddress: range
          priority: 100 + i
        }
      ]
    }
  }

  resource appsettings 'config' = {
    name: 'appsettings'
    properties: union(schedules, settings, switchedOff, ownSettings)
  }

  // Who somebody is, is decided here; what they may do, the app decides. Who has not signed in gets through to it too:
  // health and the links that poll an operation are for anybody, a path with an id inside cannot be excluded here, and
  // everybody else is refused there, in the words of the contract. What poses as a principal from outside never arrives.
  resource authentication 'config' = {
    name: 'authsettingsV2'
    dependsOn: [appsettings]
    properties: {
      platform: { enabled: !empty(entraClientId) }
      globalValidation: {
        requireAuthentication: false
        unauthenticatedClientAction: 'AllowAnonymous'
      }
      httpSettings: { requireHttps: true }
      identityProviders: empty(entraClientId)
        ? {}
        : {
            azureActiveDirectory: {
              enabled: true
              registration: {
                clientId: entraClientId
                openIdIssuer: '${az.environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
              }
              validation: {
                allowedAudiences: [
                  entraClientId
                  'api://${entraClientId}'
                ]
              }
            }
          }
      login: {
        tokenStore: { enabled: false }
      }
    }
  }

  // No deployment with a password: pipelines and people sign in with Entra ID. Flex Consumption has no FTP.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    dependsOn: [authentication]
    properties: { allow: false }
  }
}

output url string = 'https://${site.properties.defaultHostName}'
