"""What is known of secrets, certificates and tokens without asking anybody."""

from collections.abc import Iterator
from datetime import datetime

from shared.clock import rfc3339
from shared.credentials.secrets import EXPIRY_WARNING, SERVED_WHILE_AWAY, SecretState
from shared.credentials.tokens import Key
from shared.doctor.check import Check, CheckStatus, failed
from shared.services import Services
from shared.settings import Settings

IDENTITY_AWAY = "Wait and check again. If the problem lasts, ask AvePoint whether the identity service works."


def secret_checks(services: Services) -> Iterator[Check]:
    """Every secret that was asked for, and every certificate in use."""
    now = services.clock()
    for state in services.secrets.states() if services.secrets is not None else ():
        yield _secret_check(state, now)
    for setting, certificate in services.credentials.certificates.items():
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
    status: CheckStatus = "error" if used and good_until <= now else "warning"
    return failed(name, failure.error, remedy=IDENTITY_AWAY, status=status)


def token_name(key: Key) -> str:
    """Return the name of the check of a token."""
    return "/".join(("token", *key))


def uses_opus(settings: Settings) -> bool:
    """Whether the settings say that Opus is used."""
    return bool(settings.opus_client_id or settings.opus_destroy_enabled)


def _secret_check(state: SecretState, now: datetime) -> Check:
    name = f"vault/{state.name}"
    if state.away_since and state.read_at and state.failure:
        end = rfc3339(state.read_at + SERVED_WHILE_AWAY)
        served = f"served from memory since {rfc3339(state.away_since)}, until {end} at most"
        message = f"{served}: {state.failure}"
        return Check(name=name, status="warning", message=message, remedy=state.failure.remedy)
    if state.failure:
        return failed(name, state.failure)
    if state.expires:
        remedy = f"Put a new version of the secret {state.name} into the vault."
        return _expiry_check(name, state.expires, now, expired="warning", remedy=remedy)
    return Check.passed(name, "the vault returns it")


def _expiry_check(name: str, expires: datetime, now: datetime, *, expired: CheckStatus, remedy: str) -> Check:
    if expires <= now:
        return Check(name=name, status=expired, message=f"expired on {rfc3339(expires)}", remedy=remedy)
    soon = expires - now < EXPIRY_WARNING
    message = f"expires on {rfc3339(expires)}"
    return Check(name=name, status="warning" if soon else "ok", message=message, remedy=remedy if soon else "")
