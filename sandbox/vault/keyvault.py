import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus

from sandbox.vault.faults import Fault, RefusedError


@dataclass(frozen=True, slots=True)
class _Version:
    id: str
    value: str = field(repr=False)
    content_type: str | None
    created: int
    expires: datetime | None
    enabled: bool = True


class KeyVault:
    """Secrets with versions; the newest one is what a reader gets. `clock` gives epoch seconds.

    Attributes:
        reads: How often each secret was asked for by somebody who may.
    """

    def __init__(self, secrets_: Mapping[str, str], clock: Callable[[], float]) -> None:
        self.fault = Fault()
        self.reads: Counter[str] = Counter()
        self._clock = clock
        self._forbidden = False
        self._versions: dict[str, list[_Version]] = {}
        self.reset(secrets_)

    def reset(self, secrets_: Mapping[str, str]) -> None:
        """Hold these secrets alone, as if it had just been started."""
        self.fault.recover()
        self.reads.clear()
        self._forbidden = False
        self._versions.clear()
        for name, value in secrets_.items():
            self.put(name, value)

    def put(self, name: str, value: str, *, content_type: str | None = None, expires: datetime | None = None) -> None:
        """Store a new version of a secret; the older ones stay."""
        version = _Version(secrets.token_hex(16), value, content_type, int(self._clock()), expires)
        self._versions.setdefault(name, []).append(version)

    def delete(self, name: str) -> None:
        del self._versions[name]

    def enable(self, name: str, *, enabled: bool = True) -> None:
        """Enable or disable the newest version."""
        self._versions[name][-1] = replace(self._versions[name][-1], enabled=enabled)

    def forbid(self, *, forbidden: bool = True) -> None:
        """Take the role away from whoever reads, or give it back."""
        self._forbidden = forbidden

    def read(self, name: str, version: str, *, url: str) -> dict[str, object]:
        """Return the secret bundle; raise `RefusedError` like the service."""
        self.reads[name] += 1
        self.fault.strike()
        if self._forbidden:
            raise _forbidden("ForbiddenByRbac", "Caller is not authorized to perform action on resource.")
        found = next((one for one in reversed(self._versions.get(name, [])) if version in ("", one.id)), None)
        if found is None:
            message = f"A secret with (name/id) {name}/{version} was not found in this key vault."
            raise RefusedError(HTTPStatus.NOT_FOUND, _error("SecretNotFound", message))
        if not found.enabled:
            raise _forbidden("SecretDisabled", "Operation get is not allowed on a disabled secret.")
        return _bundle(found, f"{url}/secrets/{name}/{found.id}")


def _bundle(version: _Version, identifier: str) -> dict[str, object]:
    attributes: dict[str, object] = {"enabled": True, "created": version.created, "updated": version.created}
    if version.expires is not None:
        attributes["exp"] = int(version.expires.timestamp())
    bundle: dict[str, object] = {"value": version.value, "id": identifier, "attributes": attributes}
    return bundle if version.content_type is None else {**bundle, "contentType": version.content_type}


def _forbidden(inner: str, message: str) -> RefusedError:
    return RefusedError(HTTPStatus.FORBIDDEN, _error("Forbidden", message, innererror={"code": inner}))


def _error(code: str, message: str, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, **more}}
