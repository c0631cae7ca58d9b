"""What the value of an app setting may be."""

import re
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

from shared.avepoint.catalog import catalog
from shared.avepoint.platform import DATA_CENTERS
from shared.schedule import check_schedule

_IN_NO_URL = re.compile(r"[^!-~]|[<>{}\"\\^`|?#]")
_NETLOC = re.compile(r"([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
_PATH = re.compile(r"/?[^\s/?#:]+(/[^\s/?#:]+)*")
_VAULT_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_DAY = datetime(2031, 4, 25, 17, 38, 52)  # noqa: DTZ001 - it is only written
_OTHER_DAYS = {"year": _DAY.replace(year=2032), "month": _DAY.replace(month=5), "day": _DAY.replace(day=26)}


def is_loopback(url: str) -> bool:
    """Whether the host of ``url`` is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _data_center(code: str) -> str:
    if code not in DATA_CENTERS:
        raise ValueError(f"{code!r} is not a data centre; known are {', '.join(DATA_CENTERS)}")
    return code


def _url(url: str) -> str:
    parts = urlsplit(url)
    if not _NETLOC.fullmatch(parts.netloc) or _IN_NO_URL.search(url):
        raise ValueError("must be an absolute URL without user, query, fragment, spaces or placeholders")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise ValueError("must be https (http only on loopback)")
    if parts.port == 0:  # asking for it refuses what is not a port
        raise ValueError("0 is not a port")
    return url.rstrip("/")


def _origin(url: str) -> str:
    if urlsplit(url).path:
        raise ValueError("must be an origin, without a path")
    return url


def _path(path: str) -> str:
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise ValueError("must be a path, without scheme, host, query or dots")
    return path


def _vault_name(name: str) -> str:
    if not _VAULT_NAME.fullmatch(name):
        raise ValueError("a name in the vault has letters, digits and hyphens, and is not a URL")
    return name


def _date_format(form: str) -> str:
    written = _DAY.strftime(form)
    unwritten = [part for part, other in _OTHER_DAYS.items() if other.strftime(form) == written]
    if unwritten:
        raise ValueError(f"it does not write the {unwritten[0]} of a date: %Y, %m and %d stand for year, month and day")
    if "%" in written:
        raise ValueError("it has a directive that is not known")
    return form


def _ncrontab(expression: str) -> str:
    check_schedule(expression)
    return expression


def _public_url(url: str) -> str:
    if urlsplit(url).path.rstrip("/").endswith("/api"):
        raise ValueError("/api is added to it")
    return url


def _patterns(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _table_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if patterns == ("none",):
        return ()
    if not patterns:
        raise ValueError("it names nothing: 'none' switches tables off")
    for pattern in patterns:
        if not _names_datasets(pattern.removeprefix("!").strip()):
            raise ValueError(f"{pattern!r} is not {{source}}/{{dataset}}, or matches no dataset")
    return patterns


def _field_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not patterns:
        raise ValueError("it names nothing")
    for pattern in patterns:
        datasets, _, field = pattern.partition(".")
        if pattern != "personal" and not (field and _names_datasets(datasets)):
            raise ValueError(f"{pattern!r} is not {{source}}/{{dataset}}.{{field}}, or matches no dataset")
    return patterns


def _names_datasets(pattern: str) -> bool:
    return any(fnmatchcase(f"{source}/{name}", pattern) for source, name in catalog())


def _tenants(tenants: tuple[str, ...]) -> tuple[str, ...]:
    for tenant in tenants:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", tenant):
            raise ValueError(f"{tenant!r} is not a tenant id")
    return tenants


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone") from error
    return name


def _client_id(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("a client id has no blanks in it")
    return text


Url = Annotated[str, AfterValidator(_url)]
OriginUrl = Annotated[Url, AfterValidator(_origin)]
UrlPath = Annotated[str, AfterValidator(_path)]
VaultName = Annotated[str, AfterValidator(_vault_name)]
DateFormat = Annotated[str, AfterValidator(_date_format)]
Ncrontab = Annotated[str, AfterValidator(_ncrontab)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
PublicUrl = Annotated[Url, AfterValidator(_public_url)]
ClientId = Annotated[str, AfterValidator(_client_id)]
DataCenterCode = Annotated[str, AfterValidator(_data_center)]
Tenants = Annotated[Patterns, AfterValidator(_tenants)]
TablePatterns = Annotated[Patterns, AfterValidator(_table_patterns)]
FieldPatterns = Annotated[Patterns, AfterValidator(_field_patterns)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
