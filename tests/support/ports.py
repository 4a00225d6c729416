"""A port for a program that cannot be told to choose one and say which."""

import random
import socket
from contextlib import closing
from typing import Final

_OURS: Final = range(15_000, 32_000)
"""Below what Linux gives to who asks for any port, and to every connection that goes out: of those,
one that was free a moment ago is another's the next."""


def free_port() -> int:
    """Return one that no program listens on."""
    while True:
        port = random.choice(_OURS)
        try:
            with closing(socket.create_server(("127.0.0.1", port))):
                return port
        except OSError:
            continue
