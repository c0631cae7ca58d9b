"""Whom the app trusts: one TLS context for every client of it."""

import ssl
from functools import cache

from shared.errors import Misconfigured, Problem


@cache
def client_context(ssl_cert_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, trusting the system's authorities and those in the PEM bundle ``ssl_cert_file``.

    Made once, as reading the authorities takes 50 ms.

    Raises:
        Misconfigured: The bundle cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ssl_cert_file:
        try:
            context.load_verify_locations(ssl_cert_file)
        except OSError as error:
            problem = Problem(
                "SSL_CERT_FILE", f"cannot be read: {error}", "Set SSL_CERT_FILE to the path of a PEM bundle."
            )
            raise Misconfigured([problem]) from error
    return context
