metadata description = 'Telemetry: workspace, Application Insights, and the action group of alerts.'

import { assignment } from 'grants.bicep'

param name string
param location string
param tags object

@description('Object id of the identity that sends telemetry')
param publisherPrincipalId string

@description('Whether to assign its role')
param assignRoles bool

@description('Resource id of an existing workspace; empty: make one')
param workspaceId string

@description('Days for which a new workspace keeps telemetry')
param retentionDays int

@description('Addresses that alerts are mailed to')
param emails string[]

var role = 'Monitoring Metrics Publisher'
var roleId = loadJsonContent('../roles.json')[role]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (empty(workspaceId)) {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: empty(workspaceId) ? workspace.id : workspaceId
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  scope: insights
  name: guid(insights.id, publisherPrincipalId, roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'avepoint'
    enabled: true
    emailReceivers: [
      for (email, i) in emails: {
        name: 'email-${i}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

output connectionString string = insights.properties.ConnectionString

@description('The role of the app, assigned or to be assigned')
output assignments assignment[] = [
  {
    role: role
    roleId: roleId
    scope: insights.id
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
  }
]
