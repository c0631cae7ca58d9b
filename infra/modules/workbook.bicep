metadata description = 'A workbook: how fresh the datasets are, how large, how long was waited, and what became of Opus operations.'

param location string
param tags object
param insightsId string

var events = loadTextContent('../queries/events.kql')

var charts = [
  {
    title: 'Freshness'
    query: loadTextContent('../queries/freshness.kql')
    visualization: 'table'
  }
  {
    title: 'Tables'
    query: loadTextContent('../queries/table-states.kql')
    visualization: 'table'
  }
  {
    title: 'Not as it was written'
    query: loadTextContent('../queries/findings.kql')
    visualization: 'table'
  }
  {
    title: 'Datasets that shrank by a third'
    query: loadTextContent('../queries/shrunk.kql')
    visualization: 'table'
  }
  {
    title: 'Items per dataset'
    query: loadTextContent('../queries/items.kql')
    visualization: 'linechart'
  }
  {
    title: 'Seconds waited'
    query: loadTextContent('../queries/waits.kql')
    visualization: 'barchart'
  }
  {
    title: 'Uncertain operations'
    query: loadTextContent('../queries/uncertain.kql')
    visualization: 'table'
  }
  {
    title: 'Calls that are missed'
    query: loadTextContent('../queries/missed.kql')
    visualization: 'table'
  }
  {
    title: 'Opus operations by outcome'
    query: loadTextContent('../queries/outcomes.kql')
    visualization: 'barchart'
  }
]

var timeRange = {
  type: 9
  name: 'range'
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: guid('range')
        name: 'range'
        label: 'Time range'
        version: 'KqlParameterItem/1.0'
        type: 4
        isRequired: true
        value: { durationMs: 1209600000 }
        typeSettings: {
          selectableValues: [
            { durationMs: 86400000 }
            { durationMs: 604800000 }
            { durationMs: 1209600000 }
            { durationMs: 2592000000 }
            { durationMs: 7776000000 }
          ]
        }
      }
    ]
    style: 'pills'
  }
}

var shown = map(charts, chart => {
  type: 3
  name: chart.title
  content: {
    version: 'KqlItem/1.0'
    title: chart.title
    query: '${events}${chart.query}'
    size: 0
    timeContextFromParameter: 'range'
    queryType: 0
    resourceType: 'microsoft.insights/components'
    visualization: chart.visualization
  }
})

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insightsId, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: 'AvePoint inventory and Opus'
    sourceId: insightsId
    version: '1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([timeRange], shown)
      fallbackResourceIds: [insightsId]
    })
  }
}
