"""The status page of a demo's ingester: where it is, and whether it answers."""

from typing import Final

import httpx

from positionstore.embedded.cluster import choose_port

_HOST: Final = "127.0.0.1"
_USUAL: Final = 9464
"""The port that the documentation names; another one where something else listens there."""

_WITHIN: Final = 2.0


def free_address() -> str:
    """Return an address of this machine on which nothing listens: the usual one if it is free."""
    return f"{_HOST}:{choose_port(_USUAL)}"


def url(address: str) -> str:
    """Return what to type into a browser."""
    return f"http://{address}/"


def answers(address: str) -> bool:
    """Say whether a positionstore answers at an address."""
    try:
        # A proxy that the environment names would not find its way back to this machine.
        answer = httpx.get(f"{url(address)}livez", trust_env=False, timeout=_WITHIN)
    except httpx.HTTPError:
        return False
    return bool(answer.headers.get("Server") == "positionstore")
