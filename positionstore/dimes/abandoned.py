"""A connection that was abandoned within its TLS handshake.

The HTTP library closes it where the handshake fails, and leaves it open where whoever asked is
cancelled meanwhile: to be closed it would have to wait for the garbage collector.
"""

from typing import Any, Protocol


class _Stream(Protocol):
    async def aclose(self) -> None: ...


class ClosesAbandoned:
    """Closes the connection of one request whose TLS handshake does not come to its end.

    Given to a request as its extension ``trace``, which hears of each step.

    Source: the documentation of httpcore, "Extensions", section "trace".
    """

    def __init__(self) -> None:
        self._stream: _Stream | None = None

    async def __call__(self, step: str, about: dict[str, Any]) -> None:
        """Hear of a step of the request."""
        if step == "connection.connect_tcp.complete":
            self._stream = about["return_value"]
        elif step == "connection.start_tls.failed" and self._stream is not None:
            await self._stream.aclose()
