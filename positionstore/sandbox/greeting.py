"""A Socket.IO server that lets us say what its CONNECT answer holds, and what goes before it."""

from collections.abc import Callable
from dataclasses import dataclass

import socketio
from engineio.packet import Packet
from socketio import packet


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a client is let in.

    Attributes:
        answer: the payload of the CONNECT answer.
        before: Engine.IO packets that are sent before it.
    """

    answer: dict[str, str]
    before: list[Packet]


class GreetingServer(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """The server, asking for a greeting for each client.

    Args:
        greet: tells it from the session id, the Engine.IO session id, the namespace and the
            CONNECT payload. Nothing happens between it, the answer and the ``connect`` handler.
        options: the server's own.
    """

    def __init__(self, greet: Callable[[str, str, str, object], Greeting], **options: object):
        super().__init__(**options)
        self._greet = greet
        self._presented: dict[tuple[str, str], object] = {}

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        key = (eio_sid, namespace or "/")
        self._presented[key] = data
        try:
            await super()._handle_connect(eio_sid, namespace, data)
        finally:
            self._presented.pop(key, None)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        # To the official server a transport that was closed, by whomever, is just that. Only a
        # DISCONNECT packet is a goodbye, and it does not come this way.
        if reason in {self.reason.CLIENT_DISCONNECT, self.reason.SERVER_DISCONNECT}:
            reason = self.reason.TRANSPORT_CLOSE
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def _send_packet(self, eio_sid: str, pkt: packet.Packet) -> None:
        if pkt.packet_type == packet.CONNECT:
            namespace = pkt.namespace or "/"
            auth = self._presented.get((eio_sid, namespace))
            greeting = self._greet(pkt.data["sid"], eio_sid, namespace, auth)
            for each in greeting.before:
                await self.eio.send_packet(eio_sid, each)
            pkt.data = greeting.answer
        await super()._send_packet(eio_sid, pkt)
