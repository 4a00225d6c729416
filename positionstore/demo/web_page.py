"""The status page of a demo's ingester: where it is, and whether it answers."""

import socket
from contextlib import closing
from typing import Final

import httpx

_HOST: Final = "127.0.0.1"
_USUAL: Final = 9464
"""The port that the documentation names; another one where something else listens there."""

_WITHIN: Final = 2.0


def free_address() -> str:
    """Return an address of this machine on which nothing listens: the usual one if it is free."""
    for port in (_USUAL, 0):
        with closing(socket.socket()) as probe:
            # As the server does it: what a finished demo has left behind is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return f"{_HOST}:{probe.getsockname()[1]}"
    return "off"


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
