"""A client of the sandbox's control endpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx
import msgspec

from positionstore.errors import GatewayError

FAULTS: Final[Mapping[str, float]] = {
    "duplicates": 0.05,
    "reordering": 0.2,
    "reorder-window": 2.0,
    "lost": 0.02,
    "disconnect-every": 5.0,
}
"""What goes wrong in a demo, by the sandbox's options: probabilities and seconds."""

_MALFORMED: Final = (
    '{"id":"evt_demo_%d","type":"position.opened","created_at":"yesterday","data":{}}',
    '{"id":%d,"type":"position.closed","created_at":"2026-07-01T12:00:00Z","data":{}}',
    '{"id":"evt_demo_%d","type":"position.opened","created_at":"2026-07-01T12:00',
)


class _Announcement(msgspec.Struct):
    base_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """The sandbox of a demo.

    Attributes:
        base_url: its address.
        api_key: the key that it accepts.
    """

    base_url: str
    api_key: str = field(repr=False)
    _http: httpx.Client = field(repr=False)

    @classmethod
    def announced_in(cls, line: bytes) -> Self:
        """Read what ``positionstore sandbox --json`` printed.

        Raises:
            GatewayError: it is something else.
        """
        try:
            announced = msgspec.json.decode(line, type=_Announcement)
        except msgspec.DecodeError as error:
            raise GatewayError(f"The sandbox does not say where it is: {error}.") from error
        # A proxy that the environment names would not find its way back to this machine.
        http = httpx.Client(base_url=announced.base_url, trust_env=False, timeout=60.0)
        return cls(announced.base_url, announced.api_key, http)

    def counts(self) -> dict[str, int]:
        """Return its counts: ``clients``, ``happened``, ``unheard`` and others."""
        return dict(self._ask(lambda: self._http.get("/_sandbox"))["stats"])

    def emit_malformed(self, number: int) -> None:
        """Send its clients an invalid event; a different one for each number."""
        text = _MALFORMED[number % len(_MALFORMED)] % number
        body = {"event": "position.opened", "arguments": [text]}
        self._ask(lambda: self._http.post("/_sandbox/emit", json=body))

    def keep_connections(self) -> None:
        """Stop disconnecting clients."""
        self._ask(lambda: self._http.post("/_sandbox/faults", json={"disconnect_every": 0}))

    def lose_connections(self, every: float = FAULTS["disconnect-every"]) -> None:
        """Disconnect all clients now and then, again: every so many seconds."""
        self._ask(lambda: self._http.post("/_sandbox/faults", json={"disconnect_every": every}))

    def refuse_connections(self, *, refuse: bool) -> None:
        """Refuse new connections, or accept them again."""
        body = {"refuse_connections": refuse}
        self._ask(lambda: self._http.post("/_sandbox/faults", json=body))

    def cut(self) -> None:
        """Cut every connection."""
        self._ask(lambda: self._http.post("/_sandbox/disconnect", json={"how": "transport"}))

    def rest(self) -> None:
        """Stop the world, and send delayed events."""
        self._ask(lambda: self._http.post("/_sandbox/quiet"))

    def resume(self) -> None:
        """Let the world run again."""
        self._ask(lambda: self._http.post("/_sandbox/resume"))

    def statuses(self) -> dict[str, str]:
        """Return the true status of each position."""
        positions = self._ask(lambda: self._http.get("/_sandbox/truth"))["positions"]
        return {name: position["status"] for name, position in positions.items()}

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()

    def _ask(self, request: Callable[[], httpx.Response]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = request().raise_for_status().json()
        except httpx.HTTPError as error:
            raise GatewayError(f"The sandbox does not answer: {error}.") from error
        return answer
