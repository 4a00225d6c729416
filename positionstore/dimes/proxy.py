"""The proxy to the vendor: one rule for the gateway and the REST API.

``POSITIONSTORE_PROXY`` wins. Without it ``HTTPS_PROXY`` and ``ALL_PROXY`` apply as in other
programs, and ``NO_PROXY`` lists hosts that are reached directly. Neither aiohttp under
python-socketio nor httpx reads the environment itself: both would also read ``.netrc`` and send
its passwords.

A host without TLS is this machine and reached directly.
"""

import ssl
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks the second

import aiohttp
import httpx

from positionstore.dimes.http import causes, trusted
from positionstore.errors import ConfigurationError, GatewayError
from positionstore.model.secret import SecretStr
from positionstore.redaction import redacted
from positionstore.settings import Settings, is_loopback

SETTING: Final = "POSITIONSTORE_PROXY"


class Proxy:
    """A forward proxy, and the variable that names it.

    Args:
        url: its address, which may contain a user and a password.
        variable: its variable.

    Raises:
        ConfigurationError: it is not of the form ``http://[user:password@]host[:port]``.
    """

    def __init__(self, url: str, variable: str) -> None:
        self._url = SecretStr(url if "://" in url else f"http://{url}")
        self.variable = variable
        try:
            parts = urlsplit(self.url)
            port, host = parts.port, parts.hostname
        except ValueError:
            port, host = None, None
        else:
            if parts.scheme not in {"http", "https"}:
                raise ConfigurationError(
                    f"{variable} names a proxy of the kind {redacted(parts.scheme)}, which is"
                    " not supported.",
                    remedy="Name an HTTP proxy: http://host:port. SOCKS is not supported.",
                )
        if not host:
            raise ConfigurationError(
                f"{variable} is not of the form http://[user:password@]host[:port].",
                remedy="Write characters such as @, / and : in a password as %40, %2F and %3A.",
            )
        self._place = f"{host}:{port}" if port else host

    @property
    def url(self) -> str:
        """Its address, with the password: a secret."""
        return self._url.get_secret_value()

    def __str__(self) -> str:
        """Return its name for messages, without secrets."""
        return f"the proxy {redacted(self._place)} ({self.variable})"

    def for_httpx(self) -> httpx.Proxy:
        """Return it for httpx."""
        tls = trusted() if self.url.startswith("https:") else None
        return httpx.Proxy(self.url, ssl_context=tls)


def proxy_for(settings: Settings) -> Proxy | None:
    """Return the proxy to the vendor; None if there is none.

    Args:
        settings: the vendor's host, and the proxy setting.

    Raises:
        ConfigurationError: the URL of the proxy is invalid.
    """
    base_url = settings.base_url
    host = urlsplit(base_url)
    if host.scheme != "https":
        return None
    if settings.proxy is not None:
        return Proxy(settings.proxy.get_secret_value(), SETTING)
    found = getproxies_environment()
    variable = "HTTPS_PROXY" if found.get("https") else "ALL_PROXY"
    address = found.get(variable.removesuffix("_PROXY").lower())
    if address is None or is_loopback(host.hostname or ""):
        return None
    return None if proxy_bypass_environment(host.netloc, found) else Proxy(address, variable)


def proxy_trouble(proxy: Proxy | None, error: BaseException) -> GatewayError | None:
    """Return the error if a proxy is the cause; None if not.

    Args:
        proxy: the proxy that the request went through.
        error: the exception of a client.
    """
    chain = list(causes(error))
    if proxy is None or any(isinstance(cause, ssl.SSLError) for cause in chain):
        return None  # with TLS it has come as far as the host itself
    for cause in chain:
        match cause:
            case aiohttp.ClientHttpProxyError():
                return _refused(proxy, str(cause.status))
            case aiohttp.ClientProxyConnectionError():
                return _unreachable(proxy, cause.os_error.strerror or str(cause.os_error))
            case httpx.ProxyError():
                return _refused(proxy, str(cause))
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return _unreachable(proxy, str(cause))
    return None


def _refused(proxy: Proxy, said: str) -> GatewayError:
    remedies = {
        "401": f"It wants a user and a password, or others: look at {proxy.variable}.",
        "407": f"It wants a user and a password: write them into {proxy.variable}.",
        "403": "It does not let us through to the vendor's host: ask its administrator.",
    }
    status = said[:3]
    return GatewayError(
        f"Refused by {proxy}: {redacted(said)}.",
        remedy=remedies.get(status, "Look at what the proxy can reach."),
    )


def _unreachable(proxy: Proxy, why: str) -> GatewayError:
    said = redacted(why) or "no answer"
    return GatewayError(
        f"There is no reaching {proxy}: {said}.", remedy=f"Look at {proxy.variable}."
    )
