"""Ids are keys: what Postgres cannot hold as one goes to quarantine, whole."""

import msgspec
import pytest

from positionstore.dimes.decoder import decode
from positionstore.dimes.json_exact import LONGEST_ID
from positionstore.dimes.page import read_item
from positionstore.model.facts import Event, Reason, Rejected


def _envelope(event_id: str, position_id: str) -> bytes:
    return msgspec.json.encode(
        {
            "id": event_id,
            "type": "position.opened",
            "created_at": "2026-07-01T12:00:00Z",
            "data": {"id": position_id, "status": "open"},
        }
    )


@pytest.mark.parametrize("letter", ["x", "é", "\N{PILE OF POO}"])
def test_an_id_of_the_greatest_length_is_taken(letter: str) -> None:
    longest = letter * (LONGEST_ID // len(letter.encode()))
    event = decode(_envelope(longest, longest))
    assert isinstance(event, Event)
    assert (event.event_id, event.position_id) == (longest, longest)


@pytest.mark.parametrize(("event_id", "position_id"), [("x" * 1001, "p"), ("e", "é" * 501)])
def test_a_longer_id_goes_to_quarantine(event_id: str, position_id: str) -> None:
    raw = _envelope(event_id, position_id)
    rejected = decode(raw)
    assert isinstance(rejected, Rejected)
    assert (rejected.raw, rejected.reason) == (raw, Reason.BAD_ID)


def test_a_listed_position_with_a_longer_id_is_no_position() -> None:
    item = read_item(msgspec.json.encode({"id": "x" * 1001, "status": "open"}))
    assert isinstance(item.what, Rejected)
    assert item.what.reason is Reason.BAD_ID
