metadata description = 'What somebody is told about: each alert is a query over the events of the app.'

param name string
param location string
param tags object

param insightsId string
param actionGroupId string

@description('Hours after which a dataset without a new snapshot is stale')
@minValue(1)
@maxValue(47)
param freshnessHours int

var events = loadTextContent('../queries/events.kql')
var freshness = 'let freshness = ${freshnessHours}h;\n'

// An alert fires once for each value of the column "each", or once for all rows when it names none.
var rules = [
  {
    name: 'stale'
    title: 'A dataset has no complete snapshot for ${freshnessHours} hours'
    query: '${freshness}${events}${loadTextContent('../queries/stale.kql')}'
    severity: 1
    every: 'PT1H'
    window: 'P2D'
    threshold: 0
    each: ''
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
  }
  {
    name: 'poison'
    title: 'All attempts at a slice or an operation are spent'
    query: '${events}${loadTextContent('../queries/poison.kql')}'
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    threshold: 0
    each: 'what'
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
  }
  {
    name: 'expiring'
    title: 'The certificate towards AvePoint ends soon'
    query: '${events}${loadTextContent('../queries/expiring.kql')}'
    severity: 2
    every: 'PT6H'
    window: 'P1D'
    threshold: 0
    each: 'entry'
  }
  {
    name: 'server-errors'
    title: 'More than four calls in a quarter of an hour were answered with 5xx'
    query: loadTextContent('../queries/server-errors.kql')
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    threshold: 4
    each: ''
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
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.threshold
            dimensions: empty(rule.each) ? [] : [
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
