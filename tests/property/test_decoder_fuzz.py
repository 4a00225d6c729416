"""Whatever comes over the wire, the decoder answers, exactly, and the same on both of its ways."""

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from positionstore.dimes import decoder
from positionstore.dimes.decoder import decode
from positionstore.facts import Event, Reason, Rejected

texts = st.text(st.characters(exclude_categories=()), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
moments = st.sampled_from(
    [
        "2026-07-01T12:00:00.123Z",
        "2026-07-01T12:00:00+02:00",
        "2016-12-31T23:59:60.000Z",
        "soon",
        "",
    ]
)
positions = st.fixed_dictionaries(
    {"id": texts, "status": texts}, optional={"entry": values, "params": values, "x": values}
)
envelopes = st.fixed_dictionaries(
    {
        "id": texts | values,
        "type": texts | values,
        "created_at": moments | values,
        "data": positions | values,
    },
    optional={"extra": values, "\0": values},
)


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """Return an envelope in one of the many ways of spelling it."""
    text = json.dumps(
        draw(envelopes),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1])),
    )
    return text.encode(errors="surrogatepass")


PIECES = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"\x01", b"\n", b"\x7f", b"\xff"),
    *(rb"\u0000", rb"\ud800", rb"\ud83d\ude00", rb"\u12", rb"\x", rb"\/", rb"\u0069d"),
    *(b"1e999", b"01", b"1.", b"-", b"NaN", b"9" * 30, b"tru", b"nul", b"\xed\xa0\x80"),
    *(b'"id":"b",', rb'"\u0069d":"b",', b'"data":{"id":"q","status":"w"},', b'"data":null,'),
]
VALID = (
    b'{"id":"evt_1","type":"position.opened","created_at":"2026-07-01T12:00:00.123Z",'
    b'"data":{"id":"dm_pos_1","status":"open","entry":{"a":"1","n":[1,2.5,-3e4,true,null]}}}'
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return an envelope in which some bytes are gone, others are new."""
    raw = bytearray(draw(st.just(VALID) | spelled()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        gone = draw(st.integers(0, 4))
        raw[at : at + gone] = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return bytes(raw)


def anything() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=200) | spelled() | damaged() | values.map(as_json)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=500, deadline=None)
@given(anything())
@example(b"")
@example(VALID)
def test_anything_is_an_event_or_says_what_is_wrong_and_is_kept_whole(raw: bytes) -> None:
    result = decode(raw)

    if isinstance(result, Event):
        assert result.envelope == raw
        assert result.event_id
        assert result.type
        assert result.created_at.utcoffset() is not None
        for text in (result.event_id, result.type, result.position_id, result.status or ""):
            assert "\0" not in text
            text.encode()  # no lone surrogate
    else:
        assert isinstance(result, Rejected)
        assert result.raw == raw
        assert result.reason in Reason
        assert result.detail


@settings(max_examples=500, deadline=None)
@given(damaged() | spelled())
def test_what_the_short_way_takes_the_careful_way_takes_alike(raw: bytes) -> None:
    careful = _careful_alone(raw)

    assert decode(raw) == careful


@settings(max_examples=200, deadline=None)
@given(spelled() | damaged())
def test_an_event_is_json_to_anyone_who_reads_it(raw: bytes) -> None:
    result = decode(raw)

    if isinstance(result, Event):
        envelope = json.loads(result.envelope)
        assert isinstance(envelope, dict)
        assert isinstance(envelope["data"], dict)
        if result.status is not None and "\N{REPLACEMENT CHARACTER}" not in result.event_id:
            assert envelope["id"] == result.event_id
            assert envelope["data"]["status"] is not None


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_text_that_postgres_can_hold_is_an_id_as_it_is(identifier: str) -> None:
    raw = as_json(
        {
            "id": identifier,
            "type": identifier,
            "created_at": "2026-07-01T12:00:00Z",
            "data": {"id": identifier, "status": identifier},
        }
    )

    result = decode(raw)

    assert isinstance(result, Event)
    assert {result.event_id, result.type, result.position_id, result.status} == {identifier}


class _RefusesAll:
    def decode(self, raw: bytes) -> None:
        raise msgspec.DecodeError(f"none of these {len(raw)} bytes")


def _careful_alone(raw: bytes) -> Event | Rejected:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "_envelope_decoder", _RefusesAll())
        return decode(raw)
