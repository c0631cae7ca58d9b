metadata description = 'What somebody is told about: each alert is a query over the events of the app.'

param name string
param location string
param tags object

param insightsId string
param actionGroupId string

var events = loadTextContent('../queries/events.kql')

// An alert fires once for each value of the column "each", or once for all rows when it names none. One that reminds fires
// again every day until nothing is left to tell.
var rules = [
  {
    name: 'stale'
    title: 'A dataset has no complete snapshot for 26 hours'
    query: '${events}${loadTextContent('../queries/stale.kql')}'
    severity: 1
    every: 'PT1H'
    window: 'P2D'
    threshold: 0
    each: 'dataset'
    remind: true
  }
  {
    name: 'failed-run'
    title: 'A run failed, or some of its datasets did'
    query: '${events}${loadTextContent('../queries/failed-runs.kql')}'
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    threshold: 0
    each: 'run'
    remind: false
  }
  {
    name: 'poison'
    title: 'All attempts to work on a slice or an operation have failed'
    query: '${events}${loadTextContent('../queries/poison.kql')}'
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    threshold: 0
    each: 'what'
    remind: false
  }
  {
    name: 'destroyed'
    title: 'Records were marked as destroyed'
    query: '${events}${loadTextContent('../queries/destroyed.kql')}'
    severity: 3
    every: 'PT5M'
    window: 'PT15M'
    threshold: 0
    each: 'operation'
    remind: false
  }
  {
    name: 'expiring'
    title: 'A secret or the certificate for AvePoint ends soon'
    query: '${events}${loadTextContent('../queries/expiring.kql')}'
    severity: 2
    every: 'PT6H'
    window: 'P1D'
    threshold: 0
    each: 'entry'
    remind: true
  }
  {
    name: 'server-errors'
    title: 'The app answered more than four calls in a quarter of an hour with 5xx'
    query: loadTextContent('../queries/server-errors.kql')
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    threshold: 4
    each: ''
    remind: false
  }
  {
    name: 'budget'
    title: 'The request budget of a window is used up'
    query: '${events}${loadTextContent('../queries/budget.kql')}'
    severity: 3
    every: 'PT15M'
    window: 'PT1H'
    threshold: 0
    each: ''
    remind: false
  }
  {
    name: 'tables'
    title: 'A table has been behind its snapshots, or could not be built, for a day'
    query: '${events}${loadTextContent('../queries/tables.kql')}'
    severity: 2
    every: 'PT1H'
    window: 'P2D'
    threshold: 0
    each: 'dataset'
    remind: true
  }
  {
    name: 'uncertain'
    title: 'Uncertain Opus operations have waited for a person for more than a day'
    query: '${events}${loadTextContent('../queries/uncertain.kql')}'
    severity: 2
    every: 'PT1H'
    window: 'PT2H'
    threshold: 0
    each: ''
    remind: true
  }
  {
    name: 'verify'
    title: 'Stored data is not as it was written'
    query: '${events}${loadTextContent('../queries/findings.kql')}'
    severity: 1
    every: 'PT1H'
    window: 'P2D'
    threshold: 0
    each: 'what'
    remind: true
  }
  {
    name: 'shrunk'
    title: 'A dataset holds a third less than before'
    query: '${events}${loadTextContent('../queries/shrunk.kql')}'
    severity: 3
    every: 'PT15M'
    window: 'PT30M'
    threshold: 0
    each: 'dataset'
    remind: false
  }
  {
    name: 'never-free'
    title: 'The request budget was used up in every hour of a day'
    query: '${events}${loadTextContent('../queries/never-free.kql')}'
    severity: 2
    every: 'PT1H'
    window: 'P1D'
    threshold: 0
    each: 'caller'
    remind: true
  }
  {
    name: 'missed'
    title: 'A flow that called the app regularly no longer calls it'
    query: '${events}${loadTextContent('../queries/missed.kql')}'
    severity: 2
    every: 'PT1H'
    window: 'PT2H'
    threshold: 0
    each: 'call'
    remind: true
  }
]

resource alert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'alert-${name}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'AvePoint: ${rule.title}'
      enabled: true
      severity: rule.severity
      scopes: [insightsId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      autoMitigate: !rule.remind
      // Azure takes this only where alerts are not resolved by themselves.
      muteActionsDuration: rule.remind ? 'P1D' : null
      // A workspace that has just been made knows no tables yet, and Azure would refuse queries that name them.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.threshold
            dimensions: empty(rule.each)
              ? []
              : [
                  {
                    name: rule.each
                    operator: 'Include'
                    values: ['*']
                  }
                ]
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: { actionGroups: [actionGroupId] }
    }
  }
]

// A rule whose query has failed for a week is switched off by Azure. Nobody is told, unless somebody watches the activity log.
resource off 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: 'alert-${name}-off'
  location: 'global'
  tags: tags
  properties: {
    description: 'AvePoint: Azure has switched off an alert rule'
    enabled: true
    scopes: [resourceGroup().id]
    condition: {
      allOf: [
        {
          field: 'category'
          equals: 'Administrative'
        }
        {
          field: 'operationName'
          equals: 'Microsoft.Insights/ScheduledQueryRules/disable/action'
        }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: actionGroupId }] }
  }
}
