"""The app settings, read once and validated: every fault is reported under the name of its setting."""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from shared.avepoint.platform import DATA_CENTERS, ELEMENTS_URL, DataCenter, Registration, Source
from shared.errors import Misconfigured, Problem


def is_loopback(url: str) -> bool:
    """Whether the host of ``url`` is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _data_center(code: str) -> str:
    if code not in DATA_CENTERS:
        raise ValueError(f"{code!r} is no data centre; known are {', '.join(DATA_CENTERS)}")
    return code


def _url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an absolute URL without user, query or fragment is wanted")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise ValueError("https is wanted (http only on loopback)")
    return url.rstrip("/")


def _schedule(expression: str) -> str:
    if len(expression.split()) != len(("second", "minute", "hour", "day", "month", "weekday")):
        raise ValueError("an NCRONTAB expression of six fields is wanted, such as '0 0 2 * * *'")
    if not croniter.is_valid(expression, second_at_beginning=True):
        raise ValueError(f"{expression!r} is no valid NCRONTAB expression")
    return expression


def _patterns(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _tenants(tenants: tuple[str, ...]) -> tuple[str, ...]:
    for tenant in tenants:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", tenant):
            raise ValueError(f"{tenant!r} is no tenant id")
    return tenants


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is no IANA time zone") from error
    return name


Url = Annotated[str, AfterValidator(_url)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]

DEFAULT_SECRET_NAME = "avepoint-client-secret"  # noqa: S105 - the name of a secret is none


class Credential(NamedTuple):
    """An app registration and where its proof is: a certificate wins over a secret."""

    client_id: str
    secret_name: str | None
    certificate_name: str | None
    secret: SecretStr | None


class Settings(BaseModel):
    """Every app setting of docs/configuration.md, under its own name as alias.

    Only the ones without a default have to be given.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    data_center_code: Annotated[str, AfterValidator(_data_center)] = Field(
        alias="AVEPOINT_DATA_CENTER", description="the code of your data centre, such as 'us' or 'we'"
    )
    graph_url_override: Url | None = Field(None, alias="AVEPOINT_GRAPH_URL", description="an https URL, or nothing")
    enpower_url_override: Url | None = Field(
        None, alias="AVEPOINT_ENPOWER_URL", description="an https URL that ends in /smp, or nothing"
    )
    elements_url: Url = Field(ELEMENTS_URL, alias="AVEPOINT_ELEMENTS_URL", description="an https URL, or nothing")
    opus_url_override: Url | None = Field(None, alias="AVEPOINT_OPUS_URL", description="an https URL, or nothing")
    identity_url_override: Url | None = Field(
        None, alias="AVEPOINT_IDENTITY_URL", description="the https origin of the identity service, or nothing"
    )

    client_id: str = Field(alias="AVEPOINT_CLIENT_ID", description="the client id of your AvePoint app registration")
    key_vault_url: Url | None = Field(None, alias="KEY_VAULT_URL", description="the https URL of your Key Vault")
    client_secret_name: str | None = Field(
        None, alias="AVEPOINT_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    certificate_name: str | None = Field(
        None, alias="AVEPOINT_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    client_secret: SecretStr | None = Field(
        None, alias="AVEPOINT_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )
    opus_client_id: str | None = Field(None, alias="OPUS_CLIENT_ID", description="a client id, or nothing")
    opus_client_secret_name: str | None = Field(
        None, alias="OPUS_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    opus_certificate_name: str | None = Field(
        None, alias="OPUS_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    opus_client_secret: SecretStr | None = Field(
        None, alias="OPUS_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )
    elements_client_id: str | None = Field(None, alias="ELEMENTS_CLIENT_ID", description="a client id, or nothing")
    elements_client_secret_name: str | None = Field(
        None, alias="ELEMENTS_CLIENT_SECRET_NAME", description="the name of a secret in the vault"
    )
    elements_certificate_name: str | None = Field(
        None, alias="ELEMENTS_CERTIFICATE_NAME", description="the name of a certificate in the vault"
    )
    elements_client_secret: SecretStr | None = Field(
        None, alias="ELEMENTS_CLIENT_SECRET", description="the secret itself, where there is no vault"
    )

    opus_api: Literal["graph", "connector"] = Field("graph", alias="OPUS_API", description="'graph' or 'connector'")
    opus_dispose_path: str | None = Field(
        None, alias="OPUS_DISPOSE_PATH", description="the path of the legacy dispose call, as AvePoint support gives it"
    )
    opus_destroy_enabled: bool = Field(default=False, alias="OPUS_DESTROY_ENABLED", description="'true' or 'false'")
    opus_destroy_max_ids: int = Field(1000, alias="OPUS_DESTROY_MAX_IDS", ge=1, description="a whole number above 0")
    opus_date_format: str | None = Field(
        None, alias="OPUS_DATE_FORMAT", description="a strftime format such as '%Y-%m-%d %H:%M:%S', or nothing"
    )
    opus_time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC", alias="OPUS_TIME_ZONE", description="an IANA time zone such as 'Europe/Amsterdam'"
    )
    opus_sync_seconds: float = Field(
        25, alias="OPUS_SYNC_SECONDS", ge=0, le=100, description="a number of seconds from 0 to 100"
    )
    opus_submit_max_records: int = Field(
        5000, alias="OPUS_SUBMIT_MAX_RECORDS", ge=1, description="a whole number above 0"
    )

    storage_connection_string: SecretStr | None = Field(
        None, alias="INVENTORY_STORAGE", description="a storage connection string"
    )
    storage_blob_url: Url | None = Field(
        None, alias="INVENTORY_STORAGE__blobServiceUri", description="https://{account}.blob.core.windows.net"
    )
    storage_queue_url: Url | None = Field(
        None, alias="INVENTORY_STORAGE__queueServiceUri", description="https://{account}.queue.core.windows.net"
    )
    storage_credential: Literal["managedidentity"] | None = Field(
        None, alias="INVENTORY_STORAGE__credential", description="'managedidentity', or nothing"
    )
    storage_client_id: str | None = Field(
        None, alias="INVENTORY_STORAGE__clientId", description="the client id of the managed identity, or nothing"
    )

    enpower_schedule: Schedule = Field(
        alias="HARVEST_ENPOWER_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 0 2 * * *'"
    )
    graph_schedule: Schedule = Field(
        alias="HARVEST_GRAPH_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 30 2 * * *'"
    )
    elements_schedule: Schedule = Field(
        alias="HARVEST_ELEMENTS_SCHEDULE", description="six NCRONTAB fields in UTC, such as '0 0 4 * * *'"
    )
    sweep_schedule: Schedule = Field(
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
    tenants: Annotated[Patterns, AfterValidator(_tenants)] = Field(
        (), alias="HARVEST_TENANTS", description="tenant ids, comma separated"
    )
    page_size: int | None = Field(
        None, alias="HARVEST_PAGE_SIZE", ge=1, description="a whole number above 0, or nothing"
    )
    slice_seconds: float = Field(
        240, alias="HARVEST_SLICE_SECONDS", gt=0, le=480, description="a number of seconds up to 480"
    )
    part_seconds: float = Field(120, alias="HARVEST_PART_SECONDS", gt=0, description="a number of seconds")
    part_bytes: int = Field(67108864, alias="HARVEST_PART_BYTES", ge=1, description="a number of bytes")
    run_hours: float = Field(20, alias="HARVEST_RUN_HOURS", gt=0, description="a number of hours")
    max_parents: int = Field(500, alias="HARVEST_MAX_PARENTS", ge=1, description="a whole number above 0")
    window_days: float = Field(30, alias="HARVEST_WINDOW_DAYS", gt=0, description="a number of days")
    window_overlap_minutes: float = Field(
        60, alias="HARVEST_WINDOW_OVERLAP_MINUTES", ge=0, description="a number of minutes"
    )
    window_lag_minutes: float = Field(15, alias="HARVEST_WINDOW_LAG_MINUTES", ge=0, description="a number of minutes")

    ssl_cert_file: str | None = Field(None, alias="SSL_CERT_FILE", description="the path of a PEM bundle, or nothing")
    throttle_requests: int = Field(15000, alias="THROTTLE_REQUESTS", ge=1, description="a whole number above 0")
    throttle_window_seconds: float = Field(
        3600, alias="THROTTLE_WINDOW_SECONDS", gt=0, description="a number of seconds"
    )
    throttle_reserved_percent: float = Field(
        10, alias="THROTTLE_RESERVED_PERCENT", ge=0, lt=100, description="a percentage below 100"
    )
    throttle_concurrency: int = Field(8, alias="THROTTLE_CONCURRENCY", ge=1, description="a whole number above 0")
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
        """Base of the calls of ``source``, without a trailing slash.

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
        """The names and globs configured for ``source``."""
        return {"enpower": self.enpower_datasets, "graph": self.graph_datasets, "elements": self.elements_datasets}[
            source
        ]

    def schedule(self, source: Source) -> str:
        """The NCRONTAB expression of ``source``."""
        return {"enpower": self.enpower_schedule, "graph": self.graph_schedule, "elements": self.elements_schedule}[
            source
        ]

    def credential(self, registration: Registration) -> Credential:
        """The app registration to ask under: its own when it has a client id, else the one of AVEPOINT_*."""
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


_EMPTY_MEANS_NONE = frozenset({"HARVEST_ENPOWER_DATASETS", "HARVEST_GRAPH_DATASETS", "HARVEST_ELEMENTS_DATASETS"})


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate the app settings.

    An empty setting counts as absent, except that an empty list of datasets means none of them.

    Raises:
        Misconfigured: Names every setting that is missing or wrong.
    """
    given = {name: value for name, value in environ.items() if value.strip() or name in _EMPTY_MEANS_NONE}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise Misconfigured(
            [_problem(str(fault["loc"][0]), fault["type"], fault["msg"]) for fault in error.errors()]
        ) from None
    problems = list(_contradictions(settings))
    if problems:
        raise Misconfigured(problems)
    return settings


def _problem(setting: str, kind: str, message: str) -> Problem:
    wanted = next(field.description for field in Settings.model_fields.values() if field.alias == setting)
    message = "is missing" if kind == "missing" else message.removeprefix("Value error, ")
    return Problem(setting, message, f"Set {setting} to {wanted}.")


def _contradictions(settings: Settings) -> Iterator[Problem]:
    """Settings that are well formed, each by itself, and yet do not go together."""
    yield from _storage_contradictions(settings)
    yield from _credential_contradictions(settings)
    if settings.enpower_url_override and not settings.enpower_url_override.endswith("/smp"):
        yield Problem("AVEPOINT_ENPOWER_URL", "does not end in /smp", "Give the base URL up to and including /smp.")
    if settings.opus_api == "connector":
        for name, value in (
            ("OPUS_DISPOSE_PATH", settings.opus_dispose_path),
            ("AVEPOINT_OPUS_URL", settings.opus_url_override),
        ):
            if value is None:
                yield Problem(name, "is missing, and OPUS_API is 'connector'", f"Ask AvePoint support and set {name}.")


def _storage_contradictions(settings: Settings) -> Iterator[Problem]:
    if settings.storage_connection_string is not None:
        return
    urls = {
        "INVENTORY_STORAGE__blobServiceUri": settings.storage_blob_url,
        "INVENTORY_STORAGE__queueServiceUri": settings.storage_queue_url,
    }
    if not any(urls.values()):
        yield Problem(
            "INVENTORY_STORAGE",
            "is missing",
            "Set INVENTORY_STORAGE to a connection string, or INVENTORY_STORAGE__blobServiceUri and "
            "INVENTORY_STORAGE__queueServiceUri to the addresses of the storage account.",
        )
        return
    for name, url in urls.items():
        if url is None:
            yield Problem(name, "is missing", f"Set {name} to the address of the storage account.")


def _credential_contradictions(settings: Settings) -> Iterator[Problem]:
    registrations: tuple[tuple[Registration, str, str | None], ...] = (
        ("avepoint", "AVEPOINT", settings.client_id),
        ("opus", "OPUS", settings.opus_client_id),
        ("elements", "ELEMENTS", settings.elements_client_id),
    )
    for registration, prefix, client_id in registrations:
        if client_id is None:
            continue
        credential = settings.credential(registration)
        named = credential.secret_name or credential.certificate_name
        if not settings.key_vault_url and named:
            yield Problem("KEY_VAULT_URL", f"is missing, and {prefix}_* names something in it", "Set KEY_VAULT_URL.")
        elif not settings.key_vault_url and credential.secret is None:
            yield Problem(
                f"{prefix}_CLIENT_SECRET",
                "is missing, and there is no vault",
                f"Set KEY_VAULT_URL and {prefix}_CLIENT_SECRET_NAME, or {prefix}_CLIENT_SECRET for local use.",
            )


def _no_enpower(code: str) -> Problem:
    return Problem(
        "AVEPOINT_DATA_CENTER",
        f"{code!r} has no EnPower Web API",
        "Set HARVEST_ENPOWER_DATASETS to nothing, or AVEPOINT_ENPOWER_URL to the address AvePoint gave you.",
    )
