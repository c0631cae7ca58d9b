"""What is known of secrets, certificates and tokens without asking anybody."""

from collections.abc import Iterator
from datetime import datetime

from shared.clock import rfc3339
from shared.doctor.check import Check, Status, failed
from shared.proofs import EXPIRY_WARNING
from shared.secrets import KEPT, Known
from shared.services import Services
from shared.settings import Settings
from shared.tokens import Key

IDENTITY_AWAY = "Wait and look again; if it lasts, ask AvePoint whether the identity service is well."


def secret_checks(services: Services) -> Iterator[Check]:
    """Every secret that was asked for, and every certificate in use."""
    now = services.clock()
    for known in services.secrets.known() if services.secrets is not None else ():
        yield _secret_check(known, now)
    for setting, certificate in services.proofs.certificates.items():
        remedy = f"Renew the certificate named in {setting}, and give AvePoint its new public key first."
        yield _expiry_check(f"certificate/{setting}", certificate.expires, now, expired="error", remedy=remedy)


def known_tokens(services: Services) -> Iterator[Key]:
    """Every token that was asked for."""
    yield from dict.fromkeys([*services.tokens.good_until(), *services.tokens.failures])


def token_check(services: Services, key: Key) -> Check:
    """One token: a failure matters once there is no good one left, and for Opus only to those who use it."""
    now = services.clock()
    name = token_name(key)
    good_until = services.tokens.good_until().get(key, now)
    failure = services.tokens.failures.get(key)
    if failure is None:
        return Check.passed(name, f"the last one is good until {rfc3339(good_until)}")
    registration, _ = key
    used = registration != "opus" or uses_opus(services.settings)
    status: Status = "error" if used and good_until <= now else "warning"
    return failed(name, failure.error, remedy=IDENTITY_AWAY, status=status)


def token_name(key: Key) -> str:
    """The name of the check of a token."""
    return "/".join(("token", *key))


def uses_opus(settings: Settings) -> bool:
    """Whether the settings say that Opus is used."""
    return bool(settings.opus_client_id or settings.opus_destroy_enabled)


def _secret_check(known: Known, now: datetime) -> Check:
    name = f"vault/{known.name}"
    if known.away_since and known.read_at and known.failure:
        served = f"served from memory since {rfc3339(known.away_since)}, until {rfc3339(known.read_at + KEPT)} at most"
        message = f"{served}: {known.failure}"
        return Check(name=name, status="warning", message=message, remedy=known.failure.remedy)
    if known.failure:
        return failed(name, known.failure)
    if known.expires:
        remedy = f"Put a new version of the secret {known.name} into the vault."
        return _expiry_check(name, known.expires, now, expired="warning", remedy=remedy)
    return Check.passed(name, "the vault gives it")


def _expiry_check(name: str, expires: datetime, now: datetime, *, expired: Status, remedy: str) -> Check:
    if expires <= now:
        return Check(name=name, status=expired, message=f"expired on {rfc3339(expires)}", remedy=remedy)
    soon = expires - now < EXPIRY_WARNING
    message = f"expires on {rfc3339(expires)}"
    return Check(name=name, status="warning" if soon else "ok", message=message, remedy=remedy if soon else "")
