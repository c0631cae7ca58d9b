import base64
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.avepoint.wire import RefusedError

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = 3600.0
_REQUIRED = ["iss", "sub", "aud", "jti", "nbf", "exp"]
_OWN_CLOCK = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


class Assertions:
    """Knows the certificates registered for each client and who has signed with one. `clock` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._certificates: dict[str, list[x509.Certificate]] = {}
        self._used: dict[str, float] = {}

    def register(self, client_id: str, certificate: str) -> None:
        """Let the client sign with the private key of this certificate (PEM), beside those it has."""
        self._certificates.setdefault(client_id, []).append(x509.load_pem_x509_certificate(certificate.encode()))

    def unregister(self, client_id: str) -> None:
        """Take all certificates of the client away."""
        self._certificates.pop(client_id, None)

    def verify(self, form: Mapping[str, str], *, audience: str) -> None:
        """Raise `RefusedError` (400) unless the assertion is the first of its `jti` and good in every point."""
        if form.get("client_assertion_type") != TYPE:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_client")
        try:
            claims = self._claims(form["client_assertion"], form.get("client_id"), audience)
        except (jwt.PyJWTError, TypeError) as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_client") from error
        self._used[claims["jti"]] = claims["exp"]

    def _claims(self, assertion: str, client_id: str | None, audience: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(assertion)
        claimed = jwt.decode(assertion, options={"verify_signature": False}).get("sub")
        key = self._key(claimed, header)
        options: Any = {"require": _REQUIRED, **_OWN_CLOCK}
        claims = jwt.decode(assertion, key, algorithms=["RS256"], audience=audience, issuer=claimed, options=options)
        if client_id not in (None, claimed):
            raise jwt.InvalidIssuerError("The assertion speaks for another client.")
        self._check_times(claims["nbf"], claims["exp"])
        self._check_first(claims["jti"])
        return claims

    def _key(self, client_id: object, header: Mapping[str, object]) -> RSAPublicKey:
        """Return the key that the header names: by `kid` (thumbprint in hex), by `x5t` (base64url), or by both."""
        names = {"kid": str(header.get("kid", "")).upper(), "x5t": header.get("x5t")}
        for certificate in self._certificates.get(str(client_id), []):
            thumbprint = certificate.fingerprint(hashes.SHA1())  # noqa: S303 - a name, by which AvePoint knows it
            known = {
                "kid": thumbprint.hex().upper(),
                "x5t": base64.urlsafe_b64encode(thumbprint).decode().rstrip("="),
            }
            given = [name for name in known if header.get(name)]
            key = certificate.public_key()
            if given and all(names[name] == known[name] for name in given) and isinstance(key, RSAPublicKey):
                return key
        raise jwt.InvalidKeyError("The header names no certificate of the client.")

    def _check_times(self, since: float, until: float) -> None:
        if not since <= self._clock() < until <= self._clock() + LONGEST_LIFE:
            raise jwt.ExpiredSignatureError("The assertion is not good now, or for too long.")

    def _check_first(self, jti: str) -> None:
        now = self._clock()
        self._used = {used: until for used, until in self._used.items() if until > now}
        if not jti or jti in self._used:
            raise jwt.InvalidTokenError("The assertion was used before.")
