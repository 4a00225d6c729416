"""What a stranger may send: bytes without a meaning, envelopes in odd spellings, damaged ones."""

import json

from hypothesis import strategies as st

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
def spelled(draw: st.DrawFn, what: st.SearchStrategy[object] = envelopes) -> bytes:
    """Return a value, an envelope if nothing else is asked for, in one of its many spellings."""
    text = json.dumps(
        draw(what),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1])),
    )
    return text.encode(errors="surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, what: st.SearchStrategy[bytes] | None = None) -> bytes:
    """Return bytes, those of an envelope if nothing else is asked for, of which some are others."""
    raw = bytearray(draw(st.just(VALID) | spelled() if what is None else what))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        gone = draw(st.integers(0, 4))
        raw[at : at + gone] = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return bytes(raw)


def anything() -> st.SearchStrategy[bytes]:
    """Return whatever may come where an envelope should."""
    return st.binary(max_size=200) | spelled() | damaged() | values.map(as_json)


def as_json(value: object) -> bytes:
    """Return the usual spelling of a value."""
    return json.dumps(value).encode()
