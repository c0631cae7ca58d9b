metadata description = 'A sample: harvests every Monday, waits until the run has ended, and fails when the run did not succeed.'

param name string
param location string
param tags object

@description('Address of the function app, or of the gateway in front of it')
param appUrl string

@description('Client id of the app registration that the function app signs callers in with')
param audience string

resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: 'logic-${name}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('../logic-app.json')
    parameters: {
      appUrl: { value: appUrl }
      audience: { value: audience }
    }
  }
}

output principalId string = workflow.identity.principalId
