"""Checks everything the app depends on, and says what to do about what is wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from shared.avepoint.platform import OPUS_SCOPE, SOURCES
from shared.clock import rfc3339
from shared.document import Document
from shared.errors import AppError, Misconfigured
from shared.harvest.starting import configured
from shared.proofs import EXPIRY_WARNING
from shared.secrets import KEPT, Known
from shared.services import Services
from shared.settings import Settings, load_settings
from shared.storage import Container
from shared.tokens import Key

RECHECKED_AFTER = timedelta(minutes=1)
"""How often at most a failure makes ``examine`` ask again without being told to look."""

type Status = Literal["ok", "warning", "error"]
type Open = Callable[[], Awaitable[Services]]


class Check(Document):
    """What was looked at, how it is, and what to do about it."""

    name: str
    status: Status
    message: str
    remedy: str = ""


async def examine(open_services: Open, *, look: bool = False) -> list[Check]:
    """All checks, in the order in which one depends on another; nothing is written and nothing is raised.

    Args:
        look: Ask vault and identity service where nothing fresh is known. Without it what the caches know has to do:
            anybody may ask for the health of the app, as often as they like.
    """
    try:
        settings = load_settings()
    except Misconfigured as error:
        return list(_problems(error))
    checks = [Check(name="settings", status="ok", message="all app settings are well formed")]
    for source in SOURCES:
        checks += _source_checks(settings, source)
    try:
        services = await open_services()
    except Misconfigured as error:
        return [*checks, *_problems(error)]
    except AppError as error:
        return [*checks, Check(name="storage", status="error", message=str(error), remedy=error.remedy)]
    if look:
        await _look(services)
    else:
        _recheck(services)
    return [*checks, await _storage_check(services), *_credential_checks(services)]


def is_well(checks: list[Check]) -> bool:
    """Whether nothing is broken."""
    return all(check.status != "error" for check in checks)


def _problems(error: Misconfigured) -> Iterator[Check]:
    for problem in error.problems:
        yield Check(name=problem.setting, status="error", message=problem.message, remedy=problem.remedy)


def _source_checks(settings: Settings, source: Literal["enpower", "graph", "elements"]) -> list[Check]:
    """Whether the datasets of a source can be harvested."""
    try:
        datasets = configured(settings, source)
        if datasets:
            settings.base_url(source)
    except Misconfigured as error:
        return list(_problems(error))
    return [Check(name=f"datasets/{source}", status="ok", message=f"datasets chosen: {len(datasets)}")]


async def _storage_check(services: Services) -> Check:
    try:
        await services.storage.read(Container.HARVEST_STATE, "health")
    except AppError as error:
        return Check(name="storage", status="error", message=str(error), remedy=error.remedy)
    return Check(name="storage", status="ok", message="containers and queues are there")


async def _look(services: Services) -> None:
    """Bring what the caches know up to date; what goes wrong is kept in them."""
    keys = _wanted(services.settings)
    registrations = dict.fromkeys(registration for registration, _ in keys)
    await asyncio.gather(*map(services.proofs.proof, registrations), return_exceptions=True)
    await asyncio.gather(*(services.tokens.get(*key) for key in keys), return_exceptions=True)


def _recheck(services: Services) -> None:
    """Ask again, in the background and now and then, for what failed: the failure may be over."""
    services.tokens.retry_failed(older_than=RECHECKED_AFTER)
    if services.secrets is not None:
        services.secrets.retry_failed(older_than=RECHECKED_AFTER)


def _wanted(settings: Settings) -> list[Key]:
    """The tokens that the configured datasets and the Opus functions need."""
    keys: list[Key] = [("opus", OPUS_SCOPE)]
    for source in SOURCES:
        with suppress(Misconfigured):  # a check of its own says so
            keys += [(dataset.registration, dataset.scope) for dataset in configured(settings, source)]
    return list(dict.fromkeys(keys))


def _credential_checks(services: Services) -> Iterator[Check]:
    """What is known of secrets, certificates and tokens, without asking anybody."""
    now = services.clock()
    for known in services.secrets.known() if services.secrets is not None else ():
        yield _secret_check(known, now)
    for setting, certificate in services.proofs.certificates.items():
        remedy = f"Renew the certificate named in {setting}, and give AvePoint its new public key first."
        yield _expiry_check(f"certificate/{setting}", certificate.expires, now, expired="error", remedy=remedy)
    tokens = services.tokens
    for key in dict.fromkeys([*tokens.good_until(), *tokens.failures]):
        yield _token_check(services, key, now)


def _secret_check(known: Known, now: datetime) -> Check:
    name = f"vault/{known.name}"
    if known.away_since and known.read_at and known.failure:
        served = f"served from memory since {rfc3339(known.away_since)}, until {rfc3339(known.read_at + KEPT)} at most"
        return Check(name=name, status="warning", message=f"{served}: {known.failure}", remedy=known.failure.remedy)
    if known.failure:
        return Check(name=name, status="error", message=str(known.failure), remedy=known.failure.remedy)
    if known.expires:
        remedy = f"Put a new version of the secret {known.name} into the vault."
        return _expiry_check(name, known.expires, now, expired="warning", remedy=remedy)
    return Check(name=name, status="ok", message="the vault gives it")


def _expiry_check(name: str, expires: datetime, now: datetime, *, expired: Status, remedy: str) -> Check:
    if expires <= now:
        return Check(name=name, status=expired, message=f"expired on {rfc3339(expires)}", remedy=remedy)
    soon = expires - now < EXPIRY_WARNING
    message = f"expires on {rfc3339(expires)}"
    return Check(name=name, status="warning" if soon else "ok", message=message, remedy=remedy if soon else "")


def _token_check(services: Services, key: Key, now: datetime) -> Check:
    """One token: a failure matters once there is no good one left, and for Opus only to those who use it."""
    registration, scope = key
    name = f"token/{registration}/{scope}"
    good_until = services.tokens.good_until().get(key, now)
    failure = services.tokens.failures.get(key)
    if failure is None:
        return Check(name=name, status="ok", message=f"the last one is good until {rfc3339(good_until)}")
    error = failure.error
    used = registration != "opus" or services.settings.opus_client_id or services.settings.opus_destroy_enabled
    status: Status = "error" if used and good_until <= now else "warning"
    return Check(name=name, status=status, message=str(error), remedy=error.remedy)
