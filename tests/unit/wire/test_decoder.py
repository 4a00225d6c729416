"""What the decoder makes of everything that may come over the wire."""

import json
from datetime import UTC, datetime

import pytest

from positionstore.dimes.decoder import decode
from positionstore.dimes.json_exact import MAX_DEPTH
from positionstore.model.facts import Event, Reason, Rejected

REPLACED = "\N{REPLACEMENT CHARACTER}"


def envelope(**changes: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "id": "evt_1",
        "type": "position.opened",
        "created_at": "2026-07-01T12:00:00.123Z",
        "data": {"id": "dm_pos_1", "status": "open"},
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def encoded(**changes: object) -> bytes:
    return json.dumps(envelope(**changes), ensure_ascii=False).encode()


def with_extra(json_text: str) -> bytes:
    """Return an envelope with ``json_text`` as an unknown field."""
    return encoded()[:-2] + b', "extra": ' + json_text.encode() + b"}}"


def event(raw: bytes) -> Event:
    result = decode(raw)
    assert isinstance(result, Event), result
    assert result.envelope == raw
    return result


def rejected(raw: bytes) -> Rejected:
    result = decode(raw)
    assert isinstance(result, Rejected), result
    assert result.raw == raw
    assert result.detail.endswith(".")
    assert "\n" not in result.detail
    return result


def test_an_envelope_becomes_an_event_that_keeps_its_bytes() -> None:
    raw = encoded()

    assert decode(raw) == Event(
        event_id="evt_1",
        type="position.opened",
        created_at=datetime(2026, 7, 1, 12, 0, 0, 123000, tzinfo=UTC),
        position_id="dm_pos_1",
        status="open",
        envelope=raw,
    )


def test_blanks_and_the_order_of_keys_are_kept_as_they_came() -> None:
    raw = (
        b' \n{"data":\t{"status":"open" , "id":"p"},"created_at":"2026-07-01T12:00:00Z",'
        b'"type":"t","id":"e"}\r\n'
    )

    assert event(raw).envelope == raw


def test_unknown_types_statuses_and_fields_are_kept() -> None:
    raw = encoded(
        type="position.teleported",
        data={"id": "dm_pos_1", "status": "quantum", "novel": {"a": [1]}},
        version=7,
    )

    found = event(raw)

    assert (found.type, found.status) == ("position.teleported", "quantum")
    assert b"novel" in found.envelope
    assert b"version" in found.envelope


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("123456789012345678901234567890", id="30 digits"),
        pytest.param("-0", id="negative zero"),
        pytest.param("0.1000000000000000055511151231257827", id="34 decimals"),
        pytest.param("1e999999", id="an exponent"),
        pytest.param("-1E-999999", id="a negative exponent"),
        pytest.param("9" * 5000, id="5000 digits"),
    ],
)
def test_a_number_of_any_size_stays_the_text_it_is(number: str) -> None:
    assert number.encode() in event(with_extra(number)).envelope


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1"])
def test_what_json_does_not_call_a_number_is_rejected(number: str) -> None:
    assert rejected(with_extra(number)).reason is Reason.NOT_JSON


def test_u0000_stays_in_the_envelope_and_is_replaced_in_what_a_text_column_takes() -> None:
    raw = (
        rb'{"id":"evt\u0000","type":"t\u0000","created_at":"2026-07-01T12:00:00Z",'
        rb'"data":{"id":"dm_pos\u0000","status":"\u0000"}}'
    )

    found = event(raw)

    assert found.event_id == f"evt{REPLACED}"
    assert found.type == f"t{REPLACED}"
    assert found.position_id == f"dm_pos{REPLACED}"
    assert found.status == REPLACED
    assert found.envelope.count(b"\\u0000") == 4


def test_lone_surrogates_are_replaced_and_pairs_are_not() -> None:
    raw = (
        rb'{"id":"a\ud800","type":"t\udfff","created_at":"2026-07-01T12:00:00Z",'
        rb'"data":{"id":"\ud83d\ude00","status":"open"},"extra":"\ud800"}'
    )

    found = event(raw)

    assert (found.event_id, found.type) == (f"a{REPLACED}", f"t{REPLACED}")
    assert found.position_id == "\N{GRINNING FACE}"


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert event(encoded(id="evt\\u0000")).event_id == "evt\\u0000"


def test_of_duplicate_keys_the_last_counts_as_in_postgres() -> None:
    raw = (
        b'{"id":"first","id":"last","type":"t","created_at":"2026-07-01T12:00:00Z",'
        b'"data":5,"data":{"id":"p","id":"q","status":3,"status":"open"}}'
    )

    found = event(raw)

    assert (found.event_id, found.position_id, found.status) == ("last", "q", "open")


def test_a_key_spelled_with_escapes_is_the_same_key() -> None:
    raw = (
        rb'{"id":"first","\u0069d":"last","type":"t","created_at":"2026-07-01T12:00:00Z",'
        rb'"data":{"id":"p","status":"open"}}'
    )

    assert event(raw).event_id == "last"


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param('"', id="a quote"),
        pytest.param("'; --", id="an apostrophe"),
        pytest.param("a\nb\tc", id="line breaks"),
        pytest.param("\N{PILE OF POO}", id="an emoji"),
        pytest.param("é", id="an accent"),
        pytest.param(" ", id="a blank"),
        pytest.param("\\", id="a backslash"),
    ],
)
def test_ids_may_hold_anything(identifier: str) -> None:
    found = event(encoded(id=identifier, data={"id": identifier, "status": "open"}))

    assert (found.event_id, found.position_id) == (identifier, identifier)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_taken_up_to_the_limit_and_rejected_beyond(opening: str, closing: str) -> None:
    inside = MAX_DEPTH - 2  # the envelope and its data are levels, too

    def nested(depth: int) -> bytes:
        return with_extra(opening * depth + "1" + closing * depth)

    assert event(nested(inside)).event_id == "evt_1"
    assert rejected(nested(inside + 1)).reason is Reason.TOO_DEEP


def test_brackets_in_strings_are_no_nesting() -> None:
    assert event(with_extra('"' + '[{\\"' * MAX_DEPTH * 2 + '"')).event_id == "evt_1"


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert event(with_extra("[" + "[],{}," * MAX_DEPTH * 2 + "0]")).event_id == "evt_1"


FIVE_MEGABYTES = 5_000_000


def test_an_envelope_of_five_megabytes_is_an_event() -> None:
    raw = with_extra('"' + "x" * FIVE_MEGABYTES + '"')

    assert len(event(raw).envelope) > FIVE_MEGABYTES


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"[" * FIVE_MEGABYTES, Reason.TOO_DEEP, id="open brackets"),
        pytest.param(b'"' * FIVE_MEGABYTES, Reason.NOT_JSON, id="quotes"),
        pytest.param(
            b"[" * 501 + b'"' + b'\\"' * (FIVE_MEGABYTES // 2), Reason.TOO_DEEP, id="open string"
        ),
        pytest.param(b'"' + b"\\" * FIVE_MEGABYTES + b"[" * 501, Reason.NOT_JSON, id="backslashes"),
        pytest.param(b'{"":' * (FIVE_MEGABYTES // 4), Reason.TOO_DEEP, id="open objects"),
        pytest.param(
            b"9" * FIVE_MEGABYTES, Reason.NOT_AN_OBJECT, id="a number of 5 million digits"
        ),
        pytest.param(b"[]" * (FIVE_MEGABYTES // 2), Reason.NOT_JSON, id="empty arrays in a row"),
        pytest.param(b"\xff" * FIVE_MEGABYTES, Reason.NOT_UTF8, id="no text at all"),
    ],
)
def test_hostile_megabytes_come_back(raw: bytes, reason: Reason) -> None:
    # Anything but linear time would keep this one busy far beyond pytest's timeout.
    assert rejected(raw).reason is reason


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b'{"id":"evt_1"',
        b"{'id': 'evt_1'}",
        b"undefined",
        b'{"id":"a\nb"}',
        b"\x00",
        encoded() + encoded(),
        encoded() + b",",
        b"\xef\xbb\xbf" + encoded(),
        with_extra(r'"\x41"'),
        with_extra(r'"\u12"'),
        with_extra('"\x01"'),
    ],
)
def test_what_is_not_json_is_rejected(raw: bytes) -> None:
    assert rejected(raw).reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "raw", [b"\xff", b'{"id":"\xed\xa0\x80"}', b'{"id":"\xc3', b'{"id":"\xc0\x80"}']
)
def test_what_is_not_utf8_is_rejected_with_its_place(raw: bytes) -> None:
    found = rejected(raw)

    assert found.reason is Reason.NOT_UTF8
    assert "at byte" in found.detail


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"[]", "an array"),
        (b'["position.opened",{}]', "an array"),
        (b'"text"', "a string"),
        (b'""', "an empty string"),
        (b"1", "a number"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
        (b"null", "null"),
    ],
)
def test_what_is_no_object_is_rejected_by_name(raw: bytes, what: str) -> None:
    found = rejected(raw)

    assert (found.reason, found.detail) == (
        Reason.NOT_AN_OBJECT,
        f"It is {what}, not an object.",
    )


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("id", Reason.BAD_ID),
        ("type", Reason.BAD_TYPE),
        ("created_at", Reason.BAD_CREATED_AT),
        ("data", Reason.BAD_DATA),
    ],
)
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (..., "missing"),
        (None, "null"),
        (True, "a boolean"),
        (12, "a number"),
        (1.5, "a number"),
        ([], "an array"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(
    field: str, reason: Reason, value: object, what: str
) -> None:
    found = rejected(encoded(**{field: value}))

    assert found.reason is reason
    assert found.detail.startswith(f"{field} is {what}")


@pytest.mark.parametrize(("field", "reason"), [("id", Reason.BAD_ID), ("type", Reason.BAD_TYPE)])
def test_an_empty_name_is_rejected(field: str, reason: Reason) -> None:
    found = rejected(encoded(**{field: ""}))

    assert (found.reason, found.detail) == (reason, f"{field} is an empty string.")


def test_data_that_is_a_string_is_rejected() -> None:
    assert rejected(encoded(data="dm_pos_1")).detail == "data is a string, not an object."


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        pytest.param("2026-07-01T12:00:00", "it has no offset from UTC", id="without an offset"),
        ("2026-07-01T12:00:00.123", "it has no offset from UTC"),
        ("2026-07-01", "it is no ISO 8601 instant"),
        ("yesterday", "it is no ISO 8601 instant"),
        ("", "it is no ISO 8601 instant"),
        ("1751371200", "it is no ISO 8601 instant"),
        ("2026-02-30T12:00:00Z", "it is no moment of the calendar"),
        ("0001-01-01T00:00:00+14:00", "it falls outside the years 0001 to 9999"),
    ],
)
def test_created_at_that_is_no_instant_is_rejected_with_the_reason(moment: str, why: str) -> None:
    found = rejected(encoded(created_at=moment))

    assert found.reason is Reason.BAD_CREATED_AT
    assert why in found.detail


@pytest.mark.parametrize(
    ("moment", "instant"),
    [
        pytest.param("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC), id="the year 0001"),
        pytest.param(
            "9999-12-31T23:59:59.999999Z",
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            id="the year 9999",
        ),
        pytest.param("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC), id="a leap second"),
        pytest.param(
            "2026-07-01T12:00:00.1234567899+05:30",
            datetime(2026, 7, 1, 6, 30, 0, 123456, tzinfo=UTC),
            id="ten digits of a second and an offset",
        ),
    ],
)
def test_created_at_is_read_at_the_edges(moment: str, instant: datetime) -> None:
    assert event(encoded(created_at=moment)).created_at == instant


@pytest.mark.parametrize(
    ("data", "position_id"),
    [
        ({"code": "c", "message": "m", "params": {"position_id": "dm_pos_7"}}, "dm_pos_7"),
        ({"position_id": "dm_pos_7"}, "dm_pos_7"),
        ({"id": "dm_pos_7"}, "dm_pos_7"),
        ({"id": "dm_pos_7", "status": 3}, "dm_pos_7"),
        ({"id": "ntf_7", "params": {"position_id": "dm_pos_7"}}, "dm_pos_7"),
        ({"id": "ntf_7"}, ""),
        ({"id": "", "status": "open"}, ""),
        ({"params": {"position_id": 7}}, ""),
        ({"params": ["dm_pos_7"]}, ""),
        ({"params": {"position_id": ""}}, ""),
        ({}, ""),
    ],
)
def test_a_notification_has_no_status_and_the_position_that_it_names(
    data: dict[str, object], position_id: str
) -> None:
    found = event(encoded(data=data))

    assert (found.status, found.position_id) == (None, position_id)


def test_a_position_is_told_from_a_notification_by_id_and_status() -> None:
    found = event(encoded(data={"id": "odd", "status": "", "params": {"position_id": "other"}}))

    assert (found.status, found.position_id) == ("", "odd")
