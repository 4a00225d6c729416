"""Who may see more than whether the service is well."""

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from aiohttp import web

from positionstore.model.secret import SecretStr
from positionstore.settings import is_loopback as names_this_machine
from positionstore.web.http import Respond


class Door:
    """Lets in those who show the token, or everybody where there is none.

    A program shows it as a bearer token, a browser as the password of any user name.

    Args:
        token: ``POSITIONSTORE_LISTEN_TOKEN``; None: nothing has to be shown.
        is_loopback: whether only this machine reaches the address. A page of another site may make
            a browser ask for it by a name of its own, so then only this machine's names are
            answered.
    """

    def __init__(self, token: SecretStr | None, *, is_loopback: bool) -> None:
        self._token = token
        self._is_loopback = is_loopback

    def lets_in(self, request: web.Request) -> bool:
        """Whether a request shows the token, or none is wanted."""
        if self._token is None:
            return True
        given = _shown(request.headers.get("Authorization", ""))
        return hmac.compare_digest(given, self._token.get_secret_value().encode())

    def __call__(self, handler: Respond) -> Respond:
        """Return a handler that answers only those who are let in."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._token is None and self._is_loopback:
                host = urlsplit(f"//{request.host}").hostname or ""
                if not names_this_machine(host):
                    return web.Response(
                        status=403,
                        text="This page is served as localhost. Behind a proxy, set "
                        "POSITIONSTORE_LISTEN_TOKEN.\n",
                    )
            if not self.lets_in(request):
                return web.Response(
                    status=401,
                    text="Any user name, and POSITIONSTORE_LISTEN_TOKEN for the password.\n",
                    headers={"WWW-Authenticate": 'Basic realm="positionstore", charset="UTF-8"'},
                )
            return await handler(request)

        return guarded


def _shown(header: str) -> bytes:
    """Return the token that a header shows; empty where it shows none."""
    scheme, _, given = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip().encode(errors="surrogateescape")
        case "basic":
            try:
                return base64.b64decode(given, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                return b""
        case _:
            return b""
