"""What Azure Storage says in place of what was asked, as errors of this app."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import ArchivedDocument, Misconfigured, MissingDocument, Problem, StorageUnavailable

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

_EXPIRED = (
    "If it was deleted recently, make its last version current again. If it has expired, harvest the dataset again."
)
_REHYDRATE = (
    "Rehydrate it (az storage blob set-tier --tier Hot), which takes up to 15 hours, "
    "and change the archive rule so that it does not include this container."
)
_NO_ROLE = "Give the app the roles Storage Blob Data Contributor and Storage Queue Data Contributor."
_REMEDIES = {
    "AuthenticationFailed": "Check the key in INVENTORY_STORAGE, and the clock of this machine.",
    "AuthorizationFailure": "Allow the network of the app in the firewall of the account; check the key, if any.",
    "KeyBasedAuthenticationNotPermitted": "Set INVENTORY_STORAGE__blobServiceUri and __queueServiceUri, not a key.",
}


def missing_blob(container: str, path: str) -> MissingDocument:
    """Return the error of a blob that another document names, and that is not there."""
    return MissingDocument(f"{container}/{path} is not there", remedy=_EXPIRED)


def archived_blob(path: str) -> ArchivedDocument:
    """Return the error of a blob that nobody can read before it is rehydrated."""
    return ArchivedDocument(f"{path} is in the archive tier", remedy=_REHYDRATE)


@contextmanager
def named_blob(container: str, path: str) -> Iterator[None]:
    """Tell a blob that another document names, and that is not there, from one that may be missing."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        yield
    except ResourceNotFoundError as error:
        raise missing_blob(container, path) from error


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if error.status_code in {401, 403}:
            raise Misconfigured([_refusal(what, error)]) from error
        if getattr(error, "error_code", None) == "BlobArchived":
            raise archived_blob(what) from error
        raise StorageUnavailable(f"Azure Storage answered {error.status_code} for {what}") from error
    except AzureError as error:
        raise StorageUnavailable(f"Azure Storage cannot be reached for {what}: {type(error).__name__}") from error


def _refusal(what: str, error: "HttpResponseError") -> Problem:
    code = getattr(error, "error_code", None)
    code = str(getattr(code, "value", code or error.status_code))
    message = f"Azure Storage refuses access to {what} ({code})"
    return Problem("INVENTORY_STORAGE", message, _REMEDIES.get(code, _NO_ROLE))
