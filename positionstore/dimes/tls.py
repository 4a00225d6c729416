"""Whom the vendor's host is believed to be: certificates are verified, everywhere by the same rule.

Both clients, the gateway's and that of REST, take their trust from here; by themselves the one asks
the system and the other a list that it carries along.
"""

import os
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Final

import certifi

from positionstore.errors import ConfigurationError, GatewayError

_REMEDY: Final = (
    "No credentials were sent. Look at DIMES_BASE_URL and at this machine's clock; where the host's"
    " authority is your own, name the file of its certificate in SSL_CERT_FILE."
)


def trusted() -> ssl.SSLContext:
    """Return what to verify a host by: the authorities of the system, and those of certifi.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, OpenSSL's own variables, name others in place of these.
    They are read once, so that a file that is just being replaced ends nothing that runs.

    Raises:
        ConfigurationError: the file that is named holds no certificates, or cannot be read.
    """
    return _trusting(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusting(file: str | None, folder: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:  # OpenSSL's errors are of this kind too
        why = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"SSL_CERT_FILE names {file}, which cannot be used: {why}.",
            remedy="Name a file of certificates in PEM form, or unset it.",
        ) from None
    if not file and not folder:
        context.load_verify_locations(certifi.where())
    return context


def distrust(what: str, error: BaseException) -> GatewayError | None:
    """Return what to say where a host could not prove who it is; None where that is not the cause.

    Args:
        what: what could not be done.
        error: what a client raised.
    """
    for cause in causes(error):
        # aiohttp's own error is of this kind too, without the words.
        said = getattr(cause, "verify_message", None)
        if isinstance(cause, ssl.SSLCertVerificationError) and said:
            return GatewayError(
                f"{what}: the host's certificate is not trusted: {said.rstrip('.')}.",
                remedy=_REMEDY,
            )
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error and what led to it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
