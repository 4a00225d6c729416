"""Events and snapshots as tests make them: real envelopes, read by the real decoder."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from positionstore.dimes.decoder import decode
from positionstore.model.facts import Event, Received, Rejected, Snapshot, Source

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""When things begin to happen in tests; times below are seconds after it."""


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def wire_time(seconds: float) -> str:
    return moment(seconds).isoformat(timespec="microseconds").replace("+00:00", "Z")


def envelope(
    event_id: str,
    *,
    position: str = "dm_pos_1",
    kind: str = "position.opened",
    status: str = "open",
    at: float = 0,
    body: Mapping[str, object] | None = None,
) -> bytes:
    data = {"id": position, "status": status, **(body or {})}
    return json.dumps(
        {"id": event_id, "type": kind, "created_at": wire_time(at), "data": data},
        ensure_ascii=False,
    ).encode()


def received(raw: bytes, *, at: float = 100, source: Source = Source.PARTNER) -> Received:
    """What arrives when these bytes do."""
    return Received(decode(raw), moment(at), source)


def event(
    event_id: str,
    *,
    position: str = "dm_pos_1",
    kind: str = "position.opened",
    status: str = "open",
    at: float = 0,
    body: Mapping[str, object] | None = None,
    source: Source = Source.PARTNER,
) -> Received:
    """A good event, on its arrival."""
    raw = envelope(event_id, position=position, kind=kind, status=status, at=at, body=body)
    arrived = received(raw, source=source)
    assert isinstance(arrived.what, Event)
    return arrived


def rejected(raw: bytes = b"{", *, at: float = 100, source: Source = Source.PARTNER) -> Received:
    """An input that is no event, on its arrival."""
    arrived = received(raw, at=at, source=source)
    assert isinstance(arrived.what, Rejected)
    return arrived


def snapshot(
    *,
    position: str = "dm_pos_1",
    status: str = "open",
    as_of: float = 0,
    settle_window: float = 60,
    body: Mapping[str, object] | None = None,
) -> Snapshot:
    """What ``GET /positions`` showed of a position."""
    data = {"id": position, "status": status, **(body or {})}
    return Snapshot(
        position,
        status,
        moment(as_of),
        moment(as_of - settle_window),
        json.dumps(data, ensure_ascii=False).encode(),
    )
