"""The app settings, typed."""

from datetime import timedelta
from typing import Literal, NamedTuple

from pydantic import Field, SecretStr

from shared.avepoint.platform import DATA_CENTERS, ELEMENTS_URL, DataCenter, Registration, Source
from shared.errors import Misconfigured, Problem
from shared.schedule import Schedule
from shared.settings.storage import StorageSettings
from shared.settings.values import (
    ClientId,
    DataCenterCode,
    DateFormat,
    FieldPatterns,
    Ncrontab,
    OriginUrl,
    Patterns,
    PublicUrl,
    TablePatterns,
    Tenants,
    TimeZone,
    Url,
    UrlPath,
    VaultName,
)

DEFAULT_SECRET_NAME = "avepoint-client-secret"  # noqa: S105 - the name of a secret is none


class Credential(NamedTuple):
    """An app registration and what it authenticates with: a certificate wins over a secret."""

    client_id: str
    secret_name: str | None
    certificate_name: str | None
    secret: SecretStr | None


class Settings(StorageSettings):
    """Every app setting of docs/configuration.md, under its own name as alias.

    Only the ones without a default have to be given.
    """

    data_center_code: DataCenterCode = Field(
        alias="AVEPOINT_DATA_CENTER", description="the code of your data centre, such as 'us' or 'we'"
    )
    graph_url_override: Url | None = Field(None, alias="AVEPOINT_GRAPH_URL", description="an https URL, or nothing")
    enpower_url_override: Url | None = Field(
        None, alias="AVEPOINT_ENPOWER_URL", description="an https URL that ends in /smp, or nothing"
    )
    elements_url: Url = Field(ELEMENTS_URL, alias="AVEPOINT_ELEMENTS_URL", description="an https URL, or nothing")
    opus_url_override: Url | None = Field(None, alias="AVEPOINT_OPUS_URL", description="an https URL, or nothing")
    identity_url_override: OriginUrl | None = Field(
        None, alias="AVEPOINT_IDENTITY_URL", description="the https origin of the identity service, or nothing"
    )

    client_id: ClientId = Field(
        alias="AVEPOINT_CLIENT_ID", description="the client id of your AvePoint app registration"
    )
    key_vault_url: OriginUrl | None = Field(None, alias="KEY_VAULT_URL", description="the https URL of your Key Vault")
    client_secret_name: VaultName | None = Field(
        None, alias="AVEPOINT_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    certificate_name: VaultName | None = Field(
        None, alias="AVEPOINT_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    client_secret: SecretStr | None = Field(
        None, alias="AVEPOINT_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )
    opus_client_id: ClientId | None = Field(None, alias="OPUS_CLIENT_ID", description="a client id, or nothing")
    opus_client_secret_name: VaultName | None = Field(
        None, alias="OPUS_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    opus_certificate_name: VaultName | None = Field(
        None, alias="OPUS_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    opus_client_secret: SecretStr | None = Field(
        None, alias="OPUS_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )
    elements_client_id: ClientId | None = Field(None, alias="ELEMENTS_CLIENT_ID", description="a client id, or nothing")
    elements_client_secret_name: VaultName | None = Field(
        None, alias="ELEMENTS_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    elements_certificate_name: VaultName | None = Field(
        None, alias="ELEMENTS_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    elements_client_secret: SecretStr | None = Field(
        None, alias="ELEMENTS_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )

    opus_api: Literal["graph", "connector"] = Field("graph", alias="OPUS_API", description="'graph' or 'connector'")
    opus_dispose_path: UrlPath | None = Field(
        None, alias="OPUS_DISPOSE_PATH", description="the path of the legacy dispose call, as AvePoint support gives it"
    )
    opus_destroy_enabled: bool = Field(default=False, alias="OPUS_DESTROY_ENABLED", description="'true' or 'false'")
    opus_destroy_max_ids: int = Field(1000, alias="OPUS_DESTROY_MAX_IDS", ge=1, description="a whole number above 0")
    opus_date_format: DateFormat | None = Field(
        None, alias="OPUS_DATE_FORMAT", description="a strftime format such as '%Y-%m-%d %H:%M:%S', or nothing"
    )
    opus_time_zone: TimeZone = Field(
        "UTC", alias="OPUS_TIME_ZONE", description="an IANA time zone such as 'Europe/Amsterdam'"
    )
    opus_sync_seconds: float = Field(
        25, alias="OPUS_SYNC_SECONDS", ge=0, le=100, description="a number of seconds from 0 to 100"
    )
    opus_submit_max_records: int = Field(
        5000, alias="OPUS_SUBMIT_MAX_RECORDS", ge=1, description="a whole number above 0"
    )
    opus_submit_hours: float = Field(
        6, alias="OPUS_SUBMIT_HOURS", gt=0, le=168, description="a number of hours up to 168"
    )
    opus_settle_seconds: float = Field(
        300, alias="OPUS_SETTLE_SECONDS", ge=1, le=86400, description="a number of seconds from 1 to 86400"
    )
    opus_lookup_pages: int = Field(100, alias="OPUS_LOOKUP_PAGES", ge=1, description="a whole number above 0")

    enpower_schedule: Ncrontab = Field(
        alias="HARVEST_ENPOWER_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 0 2 * * *'"
    )
    graph_schedule: Ncrontab = Field(
        alias="HARVEST_GRAPH_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 30 2 * * *'"
    )
    elements_schedule: Ncrontab = Field(
        alias="HARVEST_ELEMENTS_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 0 4 * * *'"
    )
    sweep_schedule: Ncrontab = Field(
        alias="SWEEP_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 */10 * * * *'"
    )
    enpower_datasets: Patterns = Field(
        ("*",), alias="HARVEST_ENPOWER_DATASETS", description="dataset names or globs, comma separated"
    )
    graph_datasets: Patterns = Field(
        ("enpower-*", "aos-jobs", "aos-audit"),
        alias="HARVEST_GRAPH_DATASETS",
        description="dataset names or globs, comma separated",
    )
    elements_datasets: Patterns = Field(
        (), alias="HARVEST_ELEMENTS_DATASETS", description="dataset names or globs, comma separated"
    )
    tenants: Tenants = Field((), alias="HARVEST_TENANTS", description="tenant ids, comma separated")
    page_size: int | None = Field(
        None, alias="HARVEST_PAGE_SIZE", ge=1, description="a whole number above 0, or nothing"
    )
    slice_seconds: float = Field(
        240, alias="HARVEST_SLICE_SECONDS", gt=0, le=480, description="a number of seconds up to 480"
    )
    part_seconds: float = Field(
        120, alias="HARVEST_PART_SECONDS", gt=0, le=86400, description="a number of seconds up to 86400"
    )
    part_bytes: int = Field(67108864, alias="HARVEST_PART_BYTES", ge=1, description="a number of bytes")
    run_hours: float = Field(20, alias="HARVEST_RUN_HOURS", gt=0, le=8760, description="a number of hours up to 8760")
    max_parents: int = Field(500, alias="HARVEST_MAX_PARENTS", ge=1, description="a whole number above 0")
    window_days: float = Field(
        30, alias="HARVEST_WINDOW_DAYS", gt=0, le=36500, description="a number of days up to 36500"
    )
    window_overlap_minutes: float = Field(
        60,
        alias="HARVEST_WINDOW_OVERLAP_MINUTES",
        ge=0,
        le=525600,
        description="a number of minutes up to 525600",
    )
    window_lag_minutes: float = Field(
        15, alias="HARVEST_WINDOW_LAG_MINUTES", ge=0, le=525600, description="a number of minutes up to 525600"
    )
    open_days: float = Field(30, alias="HARVEST_OPEN_DAYS", ge=0, le=36500, description="a number of days up to 36500")
    verify_days: float = Field(
        30, alias="VERIFY_DAYS", ge=0, le=36500, description="a number of days up to 36500, or 0 for never"
    )

    tables_datasets: TablePatterns = Field(
        ("*",), alias="TABLES_DATASETS", description="{source}/{dataset} names or globs, comma separated, or 'none'"
    )
    tables_memory_mb: int = Field(
        400, alias="TABLES_MEMORY_MB", ge=64, description="a whole number of megabytes from 64 up"
    )
    tables_keep_days: float = Field(
        8, alias="TABLES_KEEP_DAYS", gt=0, le=36500, description="a number of days up to 36500"
    )
    tables_changes_days: float = Field(
        400, alias="TABLES_CHANGES_DAYS", gt=0, le=36500, description="a number of days up to 36500"
    )
    tables_hide_fields: FieldPatterns = Field(
        (),
        alias="TABLES_HIDE_FIELDS",
        description="{source}/{dataset}.{field} names or globs, comma separated, or 'personal'",
    )

    throttle_requests: int = Field(15000, alias="THROTTLE_REQUESTS", ge=1, description="a whole number above 0")
    throttle_window_seconds: float = Field(
        3600,
        alias="THROTTLE_WINDOW_SECONDS",
        ge=1,
        le=2678400,
        description="a number of seconds from 1 to 2678400",
    )
    throttle_reserved_percent: float = Field(
        10, alias="THROTTLE_RESERVED_PERCENT", ge=0, lt=100, description="a percentage below 100"
    )
    throttle_concurrency: int = Field(8, alias="THROTTLE_CONCURRENCY", ge=1, description="a whole number above 0")
    public_url: PublicUrl | None = Field(
        None, alias="PUBLIC_URL", description="the https origin, or origin and path, in front of /api, or nothing"
    )
    auth_mode: Literal["key", "entra"] = Field("key", alias="AUTH_MODE", description="'key' or 'entra'")

    @property
    def data_center(self) -> DataCenter:
        """The data centre of the tenant."""
        return DATA_CENTERS[self.data_center_code]

    @property
    def identity_url(self) -> str:
        """Origin of the identity service."""
        return self.identity_url_override or self.data_center.identity_url

    @property
    def opus_url(self) -> str:
        """Base of the Opus calls."""
        return self.opus_url_override or self.graph_url

    @property
    def graph_url(self) -> str:
        """Base of the Graph calls."""
        return self.graph_url_override or self.data_center.graph_url

    def base_url(self, source: Source) -> str:
        """Return the base URL of the calls of ``source``, without a trailing slash.

        Raises:
            Misconfigured: The data centre has no EnPower Web API and no URL was given.
        """
        if source == "graph":
            return self.graph_url
        if source == "elements":
            return self.elements_url
        url = self.enpower_url_override or self.data_center.enpower_url
        if url is None:
            raise Misconfigured([_no_enpower(self.data_center_code)])
        return url

    def datasets(self, source: Source) -> tuple[str, ...]:
        """Return the names and globs configured for ``source``."""
        return {"enpower": self.enpower_datasets, "graph": self.graph_datasets, "elements": self.elements_datasets}[
            source
        ]

    def schedule(self, source: Source) -> Schedule:
        """Return when ``source`` is harvested."""
        expressions = {
            "enpower": self.enpower_schedule,
            "graph": self.graph_schedule,
            "elements": self.elements_schedule,
        }
        return Schedule.parse(expressions[source])

    def credential(self, registration: Registration) -> Credential:
        """Return the app registration to ask under: its own when it has a client id, else the one of AVEPOINT_*."""
        if registration == "opus" and self.opus_client_id:
            return self._credential(
                self.opus_client_id, self.opus_client_secret_name, self.opus_certificate_name, self.opus_client_secret
            )
        if registration == "elements" and self.elements_client_id:
            return self._credential(
                self.elements_client_id,
                self.elements_client_secret_name,
                self.elements_certificate_name,
                self.elements_client_secret,
            )
        return self._credential(self.client_id, self.client_secret_name, self.certificate_name, self.client_secret)

    def _credential(
        self, client_id: str, secret_name: str | None, certificate_name: str | None, secret: SecretStr | None
    ) -> Credential:
        if self.key_vault_url and not (secret_name or certificate_name):
            secret_name = DEFAULT_SECRET_NAME
        return Credential(client_id, secret_name, certificate_name, secret)

    @property
    def slice_budget(self) -> timedelta:
        """How long one slice may work before it hands over."""
        return timedelta(seconds=self.slice_seconds)


def _no_enpower(code: str) -> Problem:
    return Problem(
        "AVEPOINT_DATA_CENTER",
        f"{code!r} has no EnPower Web API",
        "Set HARVEST_ENPOWER_DATASETS to nothing, or AVEPOINT_ENPOWER_URL to the address AvePoint gave you.",
    )
