"""What a service that runs on this machine says of itself, where it can be asked."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from positionstore.redaction import redacted
from positionstore.settings import Settings

_WITHIN: Final = 2.0
"""Seconds for each of connecting and answering: it is this machine."""

_LONGEST: Final = 65_536
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is translated


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answered.

    Attributes:
        address: where.
        failing: the checks that fail there; nothing where it is ready.
        details: what it says of each; empty where it wants a token that is not ours.
    """

    address: str
    failing: tuple[str, ...]
    details: Mapping[str, str]

    @property
    def connected(self) -> bool:
        """Whether its gateway is connected."""
        return "gateway" not in self.failing


def ask(settings: Settings) -> Running | None:
    """Ask the service that listens on ``POSITIONSTORE_LISTEN``; None where none answers.

    Args:
        settings: say where it listens, and the token.

    Raises:
        ConfigurationError: the address is one that no service would listen on.
    """
    listens = settings.listen_address
    if listens is None or listens[1] == 0:
        return None
    host, port = _ANY_ADDRESS.get(listens[0], listens[0]), listens[1]
    headers = {}
    if settings.listen_token is not None:
        headers["Authorization"] = f"Bearer {settings.listen_token.get_secret_value()}"
    # Of the standard library, because it knows no proxies: the address is this machine's.
    connection = http.client.HTTPConnection(host, port, timeout=_WITHIN)
    try:
        connection.request("GET", "/readyz?verbose", headers=headers)
        answer = connection.getresponse()
        if answer.getheader("Server") != "positionstore":
            return None
        said = json.loads(answer.read(_LONGEST))
        return _understood(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", said)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _understood(address: str, said: Any) -> Running | None:
    try:
        failing = tuple(redacted(str(name)) for name in said["failing"])
        details = {
            redacted(str(each["name"])): redacted(str(each["detail"]))
            for each in said.get("checks", ())
        }
    except (TypeError, KeyError, AttributeError):
        return None
    return Running(address, failing, details)
