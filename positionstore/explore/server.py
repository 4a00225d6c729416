"""Runs the notebook as an app: on the loopback interface, behind a token."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from positionstore.embedded.cluster import choose_port
from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.extras import explore_needed

HOST: Final = "127.0.0.1"
PORT: Final = 2718

_NOTEBOOK: Final = Path(__file__).with_name("notebook.py")
_PATIENCE: Final = 600
"""How often it is asked whether it answers, ten times a second."""


def see_the_extra() -> None:
    """See that the extra is there, before anything is started.

    Raises:
        ConfigurationError: it is not installed.
    """
    with explore_needed():
        import altair  # noqa: F401, PLC0415 - only to see that it is there
        import marimo  # noqa: F401, PLC0415 - the same


def serve(port: int | None, *, url: str | None, ready: Callable[[str], None]) -> int:
    """Run it until it is told to stop.

    Args:
        port: the port, 0 for any; None for the usual one, or any where that is taken.
        url: the database's, for the role that asks; None for the embedded server and its reader.
        ready: called with the address, once it answers.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: the port is taken.
        PositionstoreError: it did not start.
    """
    port = _free_port(port)
    token = secrets.token_urlsafe(18)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "positionstore.explore.app"),
            *("--quiet", "--yes", "run", str(_NOTEBOOK), "--host", HOST, "--port", str(port)),
            *("--headless", "--no-sandbox", "--no-check"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=_environment(url),
        text=True,
    )
    try:
        if process.stdin is not None:
            process.stdin.write(f"{token}\n")
            process.stdin.flush()
        _wait_until_it_answers(process, port)
        ready(f"http://{HOST}:{port}/?access_token={token}")
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(url: str | None) -> dict[str, str]:
    """Return the environment of the notebook, which reads its settings there."""
    found = {**os.environ, "MARIMO_SKIP_UPDATE_CHECK": "1"}
    return found if url is None else {**found, "DATABASE_URL": url}


def _free_port(port: int | None) -> int:
    found = choose_port(PORT if port is None else port)
    if port and found != port:
        raise ConfigurationError(f"Port {port} is taken.", remedy="Give --port another number.")
    return found


def _wait_until_it_answers(process: "subprocess.Popen[str]", port: int) -> None:
    for _ in range(_PATIENCE):
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout=0.1)
            raise PositionstoreError(f"The notebook ended at once, with exit code {code}.")
    raise PositionstoreError("The notebook did not start within a minute.")
