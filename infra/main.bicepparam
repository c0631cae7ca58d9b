using './main.bicep'

// Values come from the environment: from `azd env set NAME value`, or from the variables of the pipeline.
// What is not here keeps its default; infra/README.md lists all parameters.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')

param settings = {
  AVEPOINT_DATA_CENTER: readEnvironmentVariable('AVEPOINT_DATA_CENTER')
  AVEPOINT_CLIENT_ID: readEnvironmentVariable('AVEPOINT_CLIENT_ID')
  HARVEST_ENPOWER_SCHEDULE: '0 0 1 * * *'
  HARVEST_GRAPH_SCHEDULE: '0 0 2 * * *'
  HARVEST_ELEMENTS_SCHEDULE: '0 0 3 * * *'
  SWEEP_SCHEDULE: '0 */10 * * * *'
}

// Without the variable the administrator puts the secret into the vault.
var clientSecret = readEnvironmentVariable('AVEPOINT_CLIENT_SECRET', '')
param secrets = empty(clientSecret) ? {} : { 'avepoint-client-secret': clientSecret }
param secretsExpireOn = readEnvironmentVariable('AVEPOINT_CLIENT_SECRET_EXPIRES_ON', '')

// azd sets these two to who runs it.
param administratorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param administratorPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

param alertEmails = filter(split(readEnvironmentVariable('ALERT_EMAILS', ''), ','), email => !empty(email))

param entraClientId = readEnvironmentVariable('ENTRA_CLIENT_ID', '')
param allowedIpRanges = filter(split(readEnvironmentVariable('ALLOWED_IP_RANGES', ''), ','), range => !empty(range))
param network = readEnvironmentVariable('NETWORK', 'public')
param evidenceLocked = bool(readEnvironmentVariable('EVIDENCE_LOCKED', 'false'))
