"""What packets hold; a first input in quarantine is said once, all of them are an error."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.dimes.gateway import NAMESPACES
from positionstore.ingest.decoding import PacketDecoder, RawPacket, RejectionLog
from positionstore.model.facts import Event, Reason, Rejected, Source
from positionstore.store.status import NONE_UNDERSTOOD

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ODD = Rejected(b"{", Reason.NOT_JSON, "It is not JSON.")


def raw(number: int) -> RawPacket:
    return RawPacket(
        f'42{NAMESPACES[Source.PARTNER]},["position.opened",{{"id":"evt_{number}","type":"t",'
        '"created_at":"2026-07-01T12:00:00Z","data":{"id":"dm_pos_1","status":"open"}}]',
        NOW,
        0.0,
    )


def test_all_are_decoded_in_their_order() -> None:
    found = PacketDecoder(Source.PARTNER).decode([raw(n) for n in range(100)])
    ids = [each.what.event_id for each in found if isinstance(each.what, Event)]
    assert ids == [f"evt_{n}" for n in range(100)]


def test_what_is_no_event_is_kept_with_its_reason_and_time() -> None:
    rejected = Rejected(b"\x00", Reason.BINARY_ATTACHMENT, "")
    first, second = PacketDecoder(Source.PARTNER).decode(
        [RawPacket("42garbage", NOW, 0.0), RawPacket(rejected, NOW, 0.0)]
    )
    assert isinstance(first.what, Rejected)
    assert first.what.raw == b"42garbage"
    assert (second.what, second.received_at) == (rejected, NOW)
    assert first.source is Source.PARTNER


def test_a_fault_of_ours_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = PacketDecoder(Source.PARTNER)

    def fail(_: bytes) -> Event:
        raise ZeroDivisionError

    monkeypatch.setattr(decoder._unpacker, "unpack", fail)
    with capture_logs() as lines:
        (received,) = decoder.decode([raw(1)])
    assert isinstance(received.what, Rejected)
    assert received.what.reason is Reason.INTERNAL_ERROR
    packet = raw(1).packet
    assert isinstance(packet, str)
    assert received.what.raw == packet.encode()
    assert [line["event"] for line in lines] == ["event_not_read", "input_quarantined"]


def test_the_first_is_said_once() -> None:
    rejections = RejectionLog()
    with capture_logs() as said:
        for _ in range(1_000):
            rejections.see(ODD)
            rejections.see(decode(VALID))

    assert [(line["log_level"], line["event"]) for line in said] == [
        ("warning", "input_quarantined")
    ]
    assert said[0]["reason"] == "not_json"
    assert "quarantine retry" in said[0]["remedy"]


def test_that_all_of_them_go_there_is_an_error_until_one_does_not() -> None:
    rejections = RejectionLog()
    with capture_logs() as said:
        for _ in range(2):
            for _ in range(NONE_UNDERSTOOD * 3):
                rejections.see(ODD)
            rejections.see(decode(VALID))

    assert [line["event"] for line in said] == [
        "input_quarantined",
        *("every_input_quarantined", "inputs_understood_again") * 2,
    ]
