"""Everything odd that the wire may bring, sent over a real connection into a real table.

What each piece is read as, the tests of the decoder, the packets and the tap try one by one; here
each is followed to where it ends, whole: in the log and in ``positions``, or in quarantine.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from support.streams import settings_for
from support.waiting import eventually

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.json_exact import MAX_DEPTH
from positionstore.ingest.ingester import Ingester
from positionstore.model.facts import Source
from positionstore.sandbox import Options, Sandbox
from positionstore.store.database import Store

PROJECTED = "projected"
LOGGED = "logged"


@dataclass(frozen=True)
class Piece:
    """What is sent, and where it ends."""

    name: str
    arguments: tuple[str, ...]
    ends: str
    kept: bytes
    attachment: bytes | None = None


def nested(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


def packet(*arguments: str) -> bytes:
    return f'42{NAMESPACES[Source.PARTNER]},["position.opened",{",".join(arguments)}]'.encode()


def envelope(name: str, **changes: str) -> str:
    """An envelope as JSON text; ``changes`` are JSON texts too, of the envelope or of its data."""
    identifier = json.dumps(f"evt {name}", ensure_ascii=False)
    position = json.dumps(f"dm_pos {name}", ensure_ascii=False)
    whole = {
        "id": identifier,
        "type": '"position.opened"',
        "created_at": '"2026-07-01T12:00:00.123Z"',
        "data": f'{{"id":{position},"status":"open","extra":{changes.pop("extra", "null")}}}',
    } | changes
    return "{" + ",".join(f'"{key}":{value}' for key, value in whole.items()) + "}"


def pieces() -> Iterator[Piece]:
    def event(name: str, text: str | None = None, ends: str = PROJECTED, **changes: str) -> Piece:
        text = text or envelope(name, **changes)
        return Piece(name, (text,), ends, text.encode())

    def moment(name: str, text: str, ends: str = PROJECTED) -> Piece:
        return event(name, created_at=json.dumps(text), ends=ends)

    yield event("an unknown type", type='"position.teleported"')
    yield event("an unknown status", data='{"id":"dm_pos an unknown status","status":"sublime"}')
    yield event("an unknown field", version='{"of":["the","wire"]}')
    yield event("u0000", extra=r'"a\u0000b"')
    yield event("a lone surrogate", extra=r'"a\ud800b"')
    yield event("duplicate keys", extra='1,"extra":2')
    yield event("a number of 30 digits", extra="123456789012345678901234567890")
    yield event("an exponent", extra="1.50e-7")
    yield event("deep nesting", extra=nested(MAX_DEPTH - 2))
    yield event("nesting beyond the limit", extra=nested(MAX_DEPTH), ends="too_deep")
    yield event("an envelope of 5 MB", extra='"' + "x" * 5_000_000 + '"')
    yield event("a notification", data='{"code":"c","params":{"position_id":"p"}}', ends=LOGGED)
    yield event("an array as data", data="[]", ends="bad_data")
    yield moment("the year 0001", "0001-01-01T00:00:00Z")
    yield moment("the year 9999", "9999-12-31T23:59:59.999999Z")
    yield moment("a leap second", "2016-12-31T23:59:60Z")
    yield moment("created_at without an offset", "2026-07-01T12:00:00", "bad_created_at")
    yield event("an id with \"quotes\" and 'apostrophes'; --")
    yield event("an id with emoji \N{PILE OF POO}")
    array = f"[{envelope('an array as envelope')}]"
    yield Piece("an array as envelope", (array,), "not_an_object", packet(array))
    two = (envelope("two arguments"), envelope("the second"))
    yield Piece("two arguments", two, "wrong_arguments", packet(*two))
    placeholder = '{"_placeholder":true,"num":0}'
    yield Piece(
        "a binary attachment",
        (placeholder,),
        "binary_attachment",
        packet(placeholder).replace(b"42", b"451-", 1) + b"\x1ebAP8=",
        attachment=b"\x00\xff",
    )
    yield Piece("an empty frame", (), "wrong_arguments", b"4")


PIECES = {piece.name: piece for piece in pieces()}


async def send(serving: Sandbox, piece: Piece) -> None:
    if not piece.arguments:
        await serving.send_packet("")
        return
    attachments = [] if piece.attachment is None else [piece.attachment]
    await serving.emit_raw("position.opened", *piece.arguments, attachments=attachments)


def ends(connection: psycopg.Connection) -> dict[bytes, str]:
    """Where everything ended, by what is kept of it."""
    projected = connection.execute(
        "SELECT e.envelope::text, p.position_id IS NOT NULL FROM events e"
        " LEFT JOIN positions p ON (p.position_id, p.last_event_id) = (e.position_id, e.event_id)"
    ).fetchall()
    quarantined = connection.execute("SELECT raw, reason FROM quarantine").fetchall()
    return {text.encode(): PROJECTED if row else LOGGED for text, row in projected} | {
        bytes(raw): reason for raw, reason in quarantined
    }


async def test_everything_that_the_wire_may_bring_ends_where_it_should(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        async with Sandbox(Options(seed=7, ticking=False)) as serving:
            settings = settings_for(serving.url, api_key=serving.api_key)
            stop = asyncio.Event()
            ingester = Ingester(settings, Store(store_url, embedded=False), Source.PARTNER)
            task = asyncio.ensure_future(ingester.run(stop))
            await serving.wait_for_clients(1)
            for piece in PIECES.values():
                await send(serving, piece)
            await eventually(lambda: task.done() or len(ends(connection)) >= len(PIECES))
            stop.set()
            await task
        found = ends(connection)
        assert {name: found.pop(piece.kept, None) for name, piece in PIECES.items()} == {
            name: piece.ends for name, piece in PIECES.items()
        }
        assert found == {}
        sessions = connection.execute("SELECT count(*) FROM stream_sessions").fetchone()
        assert sessions == (1,), "nothing of this costs the connection"
        read_back: dict[str, str | None] = dict(
            connection.execute(
                "SELECT substr(position_id, 8), data ->> 'extra' FROM positions"
            ).fetchall()
        )
    assert read_back["a number of 30 digits"] == "123456789012345678901234567890"
    assert read_back["an exponent"] == "0.000000150"
    assert read_back["duplicate keys"] == "2"
    assert read_back["u0000"] == read_back["a lone surrogate"] == "a\N{REPLACEMENT CHARACTER}b"
