metadata description = 'Lifecycle rules of the storage accounts. The app cleans up the tables itself, so no rule touches them.'

func rule(name string, prefixes string[], actions object) object => {
  name: name
  type: 'Lifecycle'
  enabled: true
  definition: {
    filters: union({ blobTypes: ['blockBlob'] }, empty(prefixes) ? {} : { prefixMatch: prefixes })
    actions: actions
  }
}

func deleted(days int) object => { delete: { daysAfterModificationGreaterThan: days } }

func oldVersions(days int) object => { version: { delete: { daysAfterCreationGreaterThan: days } } }

@export()
@description('Rules of the data account. For latest/, manifests/, watermarks/, budget/ and evidence they delete old versions alone: the app deletes what is over')
func dataRules(
  rawCoolAfterDays int,
  rawDeleteAfterDays int,
  stateDeleteAfterDays int,
  operationDeleteAfterDays int,
  softDeleteDays int
) object[] => [
  rule(
    'raw',
    ['inventory/raw/'],
    union(
      {
        baseBlob: union(
          { tierToCool: { daysAfterModificationGreaterThan: rawCoolAfterDays } },
          deleted(rawDeleteAfterDays)
        )
      },
      oldVersions(softDeleteDays)
    )
  )
  rule('runs', ['harvest-state/runs/'], { baseBlob: deleted(stateDeleteAfterDays) })
  rule('operations', ['opus-operations/operations/'], { baseBlob: deleted(operationDeleteAfterDays) })
  rule('old-versions', [], oldVersions(softDeleteDays))
]

@export()
@description('Rules of the host account')
func hostRules(softDeleteDays int) object[] => [rule('old-versions', [], oldVersions(softDeleteDays))]
