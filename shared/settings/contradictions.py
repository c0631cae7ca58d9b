"""App settings that are well formed, each by itself, and yet do not go together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.errors import Problem
from shared.settings.model import Settings
from shared.settings.storage import StorageSettings

if TYPE_CHECKING:
    from shared.avepoint.platform import Registration


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield each setting that does not go with the others."""
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


def without_storage(settings: StorageSettings) -> Iterator[Problem]:
    """Yield what keeps the blobs of the app from being found."""
    if settings.storage_connection_string is not None or settings.storage_blob_url is not None:
        return
    if settings.storage_queue_url is not None:
        yield _missing_address("INVENTORY_STORAGE__blobServiceUri")
        return
    yield Problem(
        "INVENTORY_STORAGE",
        "is missing",
        "Set INVENTORY_STORAGE to a connection string, or INVENTORY_STORAGE__blobServiceUri and "
        "INVENTORY_STORAGE__queueServiceUri to the addresses of the storage account.",
    )


def _storage_contradictions(settings: Settings) -> Iterator[Problem]:
    yield from without_storage(settings)
    with_address = settings.storage_connection_string is None and settings.storage_blob_url is not None
    if with_address and settings.storage_queue_url is None:
        yield _missing_address("INVENTORY_STORAGE__queueServiceUri")


def _missing_address(name: str) -> Problem:
    return Problem(name, "is missing", f"Set {name} to the address of the storage account.")


def _credential_contradictions(settings: Settings) -> Iterator[Problem]:
    registrations: tuple[tuple[Registration, str, str | None], ...] = (
        ("avepoint", "AVEPOINT", settings.client_id),
        ("opus", "OPUS", settings.opus_client_id),
        ("elements", "ELEMENTS", settings.elements_client_id),
    )
    for registration, prefix, client_id in registrations:
        if client_id is None:
            yield from _without_client_id(settings, registration, prefix)
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


def _without_client_id(settings: Settings, registration: "Registration", prefix: str) -> Iterator[Problem]:
    """Yield that a credential is given for an app registration of its own, which is not named."""
    proofs = ("client_secret_name", "certificate_name", "client_secret")
    given = [proof for proof in proofs if getattr(settings, f"{registration}_{proof}") is not None]
    if given:
        name = f"{prefix}_{given[0].upper()}"
        yield Problem(
            f"{prefix}_CLIENT_ID", f"is missing, and {name} is set", f"Set {prefix}_CLIENT_ID or remove {name}."
        )
