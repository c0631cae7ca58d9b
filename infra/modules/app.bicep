metadata description = 'The function app on Flex Consumption, its app settings, and who may call it.'

import { appSettings } from 'settings.bicep'

param name string
param location string
param tags object

@description('The user-assigned identity: everything the app does, it does as this one')
param identityId string
param identityClientId string

@description('The app settings that were chosen')
param settings appSettings

param hostBlobEndpoint string
param hostQueueEndpoint string
param hostTableEndpoint string
param dataBlobEndpoint string
param dataQueueEndpoint string
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

@allowed(['public', 'private'])
param network string

@description('Subnet that the app goes out through; empty: none')
param subnetId string

var chosen = filter(items(settings), setting => setting.value != null)

var chosenSettings = toObject(chosen, setting => setting.key, setting => string(setting.value))

var ownSettings = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
  AzureWebJobsStorage__blobServiceUri: hostBlobEndpoint
  AzureWebJobsStorage__queueServiceUri: hostQueueEndpoint
  AzureWebJobsStorage__tableServiceUri: hostTableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  INVENTORY_STORAGE__blobServiceUri: dataBlobEndpoint
  INVENTORY_STORAGE__queueServiceUri: dataQueueEndpoint
  INVENTORY_STORAGE__credential: 'managedidentity'
  INVENTORY_STORAGE__clientId: identityClientId
  KEY_VAULT_URL: vaultUrl
  AUTH_MODE: empty(entraClientId) ? 'key' : 'entra'
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${name}'
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
    publicNetworkAccess: network == 'private' ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
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
    }
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
    properties: union(chosenSettings, ownSettings)
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
      identityProviders: empty(entraClientId) ? {} : {
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

  // Nobody deploys with a password: pipelines and people come with Entra ID.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    dependsOn: [authentication]
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    dependsOn: [ftp]
    properties: { allow: false }
  }
}

output id string = site.id
output siteName string = site.name
output url string = 'https://${site.properties.defaultHostName}'
