// The app settings that may be chosen, under their own names: docs/configuration.md says what each of them means.
// What is not given is not set, so the default of the app holds. The app settings that follow from the deployment itself
// (storage, vault, AUTH_MODE) are set by app.bicep.

@export()
@description('The app settings that may be chosen')
type appSettings = {
  AVEPOINT_DATA_CENTER: string
  AVEPOINT_GRAPH_URL: string?
  AVEPOINT_ENPOWER_URL: string?
  AVEPOINT_ELEMENTS_URL: string?
  AVEPOINT_OPUS_URL: string?
  AVEPOINT_IDENTITY_URL: string?

  AVEPOINT_CLIENT_ID: string
  AVEPOINT_CLIENT_SECRET_NAME: string?
  AVEPOINT_CERTIFICATE_NAME: string?
  OPUS_CLIENT_ID: string?
  OPUS_CLIENT_SECRET_NAME: string?
  OPUS_CERTIFICATE_NAME: string?
  ELEMENTS_CLIENT_ID: string?
  ELEMENTS_CLIENT_SECRET_NAME: string?
  ELEMENTS_CERTIFICATE_NAME: string?

  HARVEST_ENPOWER_SCHEDULE: string
  HARVEST_GRAPH_SCHEDULE: string
  HARVEST_ELEMENTS_SCHEDULE: string
  SWEEP_SCHEDULE: string
  HARVEST_ENPOWER_DATASETS: string?
  HARVEST_GRAPH_DATASETS: string?
  HARVEST_ELEMENTS_DATASETS: string?
  HARVEST_TENANTS: string?
  HARVEST_PAGE_SIZE: int?
  HARVEST_SLICE_SECONDS: int?
  HARVEST_PART_SECONDS: int?
  HARVEST_PART_BYTES: int?
  HARVEST_RUN_HOURS: int?
  HARVEST_MAX_PARENTS: int?
  HARVEST_WINDOW_DAYS: int?
  HARVEST_WINDOW_OVERLAP_MINUTES: int?
  HARVEST_WINDOW_LAG_MINUTES: int?

  OPUS_API: string?
  OPUS_DISPOSE_PATH: string?
  OPUS_DESTROY_ENABLED: bool?
  OPUS_DESTROY_MAX_IDS: int?
  OPUS_SUBMIT_MAX_RECORDS: int?
  OPUS_SYNC_SECONDS: int?
  OPUS_DATE_FORMAT: string?
  OPUS_TIME_ZONE: string?

  THROTTLE_REQUESTS: int?
  THROTTLE_WINDOW_SECONDS: int?
  THROTTLE_RESERVED_PERCENT: int?
  THROTTLE_CONCURRENCY: int?
  SSL_CERT_FILE: string?
}
