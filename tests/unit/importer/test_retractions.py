"""A retraction is read back from its envelope as it was made, or not at all."""

from datetime import UTC, datetime

import pytest

from positionstore.dimes.decoder import decode
from positionstore.importer.retractions import is_retraction, read_retraction
from positionstore.model.facts import Event, Reason, Rejected, Retraction

MADE = Retraction(
    "dm_pos_1", "evt_\N{BUG}", 'A "reason".\n', datetime(2026, 7, 1, 13, 0, 0, 5, tzinfo=UTC)
)


def test_it_comes_back_as_it_was() -> None:
    assert read_retraction(MADE.envelope) == MADE
    event = decode(MADE.envelope)
    assert isinstance(event, Event)
    assert is_retraction(event)
    assert (event.event_id, event.position_id, event.status) == (MADE.event_id, "dm_pos_1", None)
    assert event.created_at == MADE.created_at


def test_two_of_one_content_are_one_and_of_others_are_others() -> None:
    again = Retraction(MADE.position_id, MADE.retracts, MADE.reason, MADE.created_at)
    assert again.event_id == MADE.event_id
    others = {
        Retraction(*parts, MADE.created_at).event_id
        for parts in [("a", "b", "c"), ("b", "a", "c"), ("a", "c", "b"), ("ab", "", "c")]
    }
    assert len(others) == 4


@pytest.mark.parametrize(
    ("was", "is_", "reason"),
    [
        (b"evt_", b"evt-", Reason.BAD_ID),
        (b"reason\\", b"Reason\\", Reason.BAD_ID),
        (b"13:00:00", b"13:00:01", Reason.BAD_ID),
        (b'"dm_pos_1"', b'""', Reason.BAD_ID),
        (b'"dm_pos_1"', b'"\\u0000"', Reason.BAD_ID),
        (b'"dm_pos_1"', b'"' + 1001 * b"p" + b'"', Reason.BAD_ID),
        (b'"dm_pos_1"', b"1", Reason.BAD_DATA),
        (b'"data":{', b'"data":{"more":1,', Reason.BAD_DATA),
        (b"2026-07-01", b"yesterday", Reason.BAD_DATA),
        (b"{", b"", Reason.BAD_DATA),
    ],
)
def test_what_was_altered_is_refused(was: bytes, is_: bytes, reason: Reason) -> None:
    raw = MADE.envelope.replace(was, is_, 1)
    assert raw != MADE.envelope
    read = read_retraction(raw)
    assert isinstance(read, Rejected)
    assert (read.raw, read.reason) == (raw, reason)
    assert read.detail.startswith("It is ")
