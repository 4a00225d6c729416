"""What each client has certainly read: it answered a ping that was sent afterwards.

A connection may be cut before the client reads what was sent. But a client reads in order: one
that answers a ping has read everything sent before it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from engineio.packet import PING, PONG, Packet


class Session(msgspec.Struct):
    """One client's connection, from the handshake to its end.

    Attributes:
        sid: the session id, as in the recipients of a record.
        namespace: the gateway.
        via: what a proxy in between says of itself in the header ``Via``; else empty.
        sent: how many events were handed to its connection.
        answered: how many of them, from the first on, it has certainly read.
        connected: whether it is still open.
        recovered: whether it recovered a lost session.
        replayed: how many events were replayed for that; not included in ``sent``.
    """

    sid: str
    namespace: str
    via: str
    sent: int = 0
    answered: int = 0
    connected: bool = True
    recovered: bool = False
    replayed: int = 0


class Engine(Protocol):
    """What is needed of an Engine.IO connection."""

    send: Callable[[Packet], Awaitable[None]]
    receive: Callable[[Packet], Awaitable[None]]


def watch(engine: Engine, session: Session) -> None:
    """Note which events a client has read, whenever it answers a ping."""
    send, receive = engine.send, engine.receive
    asked = 0

    async def sending(packet: Packet) -> None:
        nonlocal asked
        before = session.sent
        await send(packet)
        if packet.packet_type == PING:
            asked = before

    async def receiving(packet: Packet) -> None:
        if packet.packet_type == PONG:
            session.answered = asked
        await receive(packet)

    engine.send, engine.receive = sending, receiving
