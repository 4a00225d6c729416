import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from positionstore.dimes.packets import Unpacker, has_offset, offset_of
from positionstore.model.facts import Event, Reason, Rejected

NAMESPACE = "/v1/ws/prediction-markets/positions"
HEAD = f"42{NAMESPACE},"
ENVELOPE = (
    '{"id":"evt_1","type":"position.opened","created_at":"2026-07-01T12:00:00.123Z",'
    '"data":{"id":"dm_pos_1","status":"open","n": 1.50e+01,"n":12345678901234567890123456789.0}}'
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def unpack(text: str) -> Event | Rejected:
    return Unpacker(NAMESPACE).unpack(text.encode())


def rejected(text: str) -> Rejected:
    what = unpack(text)
    assert isinstance(what, Rejected)
    return what


@pytest.mark.parametrize(
    "packet",
    [
        f'{HEAD}["position.opened",{ENVELOPE}]',
        f'{HEAD}["a name of the future",{ENVELOPE}]',
        f'{HEAD}["quoted \\"name\\"",{ENVELOPE}]',
        f'{HEAD}["name\\\\",{ENVELOPE}]',
        f'{HEAD} [ "position.opened" , {ENVELOPE} ] ',
        f'{HEAD}17["position.opened",{ENVELOPE}]',
        f'{HEAD}["",{ENVELOPE}]',
    ],
)
def test_the_envelope_is_cut_out_exactly_as_it_came(packet: str) -> None:
    what = unpack(packet)
    assert isinstance(what, Event)
    assert what.envelope == ENVELOPE.encode()
    assert (what.event_id, what.position_id) == ("evt_1", "dm_pos_1")


@pytest.mark.parametrize(
    "behind",
    [
        '"Q8WJphX"',
        '"Q8WJqHg.0"',
        '"1795838590462-0"',
        '""',
        '"a \\"quoted\\" one"',
        '"},"',
        '"},\\""',
        '"\u00fc"',
        "null",
        "17",
        "true",
        "[{}]",
        '"one","another"',
    ],
)
@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_an_envelope_followed_by_what_is_no_object_is_an_event(behind: str, blank: str) -> None:
    what = unpack(f'{HEAD}["position.opened",{ENVELOPE},{blank}{behind}{blank}]')
    assert isinstance(what, Event)
    assert what.envelope == ENVELOPE.encode()


@pytest.mark.parametrize("behind", ['"', '"Q8\\"', '"Q8\n"', '"Q8"x', '"Q8",', '{},"Q8"'])
def test_an_envelope_followed_by_what_is_broken_or_an_object_is_kept_whole(behind: str) -> None:
    packet = f'{HEAD}["position.opened",{ENVELOPE},{behind}]'
    assert rejected(packet).raw == packet.encode()


@pytest.mark.parametrize(
    ("packet", "offset"),
    [
        (f'{HEAD}["position.opened",{ENVELOPE},"Q8WJphX"]', "Q8WJphX"),
        (f'{HEAD}["error",{{"code":"x"}},"1795838590462-0"]', "1795838590462-0"),
        (f'{HEAD}["error","expired","1795838590462-0"]', "1795838590462-0"),
        (f'{HEAD}["position.opened",{ENVELOPE},"a\\u0041"]', "aA"),
        (f'{HEAD}["position.opened", {ENVELOPE} , "Q8"]', "Q8"),
        ('42["position.opened",{},"Q8"]', "Q8"),
        (f'{HEAD}12["position.opened",{ENVELOPE},"asks for an answer"]', None),
        ('4217["position.opened",{},"asks for an answer"]', None),
        (f'{HEAD}["tick","volatile"]', None),
        (f'{HEAD}[{ENVELOPE},"behind no name"]', None),
        (f'43{HEAD[2:]}["an answer",{ENVELOPE},"Q8"]', None),
        (f'40{HEAD[2:]}{{"sid":"Q8"}}', None),
        (f'451-{HEAD[2:]}["x",{{"_placeholder":true,"num":0}},"Q8.0"]', "Q8.0"),
        (f'{HEAD}["position.opened",{ENVELOPE}]', None),
        (f'{HEAD}["position.opened"]', None),
        (f'{HEAD}["position.opened",{ENVELOPE},"Q8', None),
        (f"{HEAD}", None),
    ],
)
def test_the_offset_is_the_text_behind_the_arguments(packet: str, offset: str | None) -> None:
    assert offset_of(packet) == offset
    assert has_offset(packet) == (offset is not None)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (f"{HEAD}[]", Reason.WRONG_ARGUMENTS),
        (f'{HEAD}["position.opened"]', Reason.WRONG_ARGUMENTS),
        pytest.param(
            f'{HEAD}["position.opened",{ENVELOPE},{ENVELOPE}]',
            Reason.WRONG_ARGUMENTS,
            id="two arguments",
        ),
        (f"{HEAD}[{ENVELOPE}]", Reason.WRONG_ARGUMENTS),
        (f"{HEAD}{ENVELOPE}", Reason.WRONG_ARGUMENTS),
        (f"{HEAD}", Reason.WRONG_ARGUMENTS),
        ("42", Reason.WRONG_ARGUMENTS),
        (f'42["position.opened",{ENVELOPE}]', Reason.WRONG_ARGUMENTS),
        (f'42/other,["position.opened",{ENVELOPE}]', Reason.WRONG_ARGUMENTS),
        pytest.param(
            f'{HEAD}["position.opened",[{ENVELOPE}]]',
            Reason.NOT_AN_OBJECT,
            id="an array where an object should be",
        ),
        (f'{HEAD}["position.opened",17]', Reason.NOT_AN_OBJECT),
        (f'{HEAD}["position.opened",null]', Reason.NOT_AN_OBJECT),
        (f'{HEAD}["position.opened",{ENVELOPE}', Reason.NOT_JSON),
        (f'{HEAD}["position.opened",{ENVELOPE[:-1]}]', Reason.NOT_JSON),
        (f'{HEAD}["position.opened",{ENVELOPE}]]', Reason.NOT_JSON),
        (f'{HEAD}["position.opened" {ENVELOPE}]', Reason.NOT_JSON),
        (f'{HEAD}["position.opened",NaN]', Reason.NOT_JSON),
        (f'{HEAD}["position.opened",{"[" * 100_000}]', Reason.TOO_DEEP),
    ],
)
def test_what_is_no_single_object_is_kept_with_its_whole_packet(
    packet: str, reason: Reason
) -> None:
    what = rejected(packet)
    assert what.reason is reason
    assert what.raw == packet.encode()
    assert what.detail


def test_an_object_that_is_no_envelope_is_kept_alone_so_that_it_can_be_tried_again() -> None:
    what = rejected(f'{HEAD}["position.opened",{{"id":"evt_1"}}]')
    assert what.reason is Reason.BAD_TYPE
    assert what.raw == b'{"id":"evt_1"}'


def test_what_is_not_utf8_says_where() -> None:
    packet = f'{HEAD}["position.opened",'.encode() + b'{"id":"\xff"}]'
    what = Unpacker(NAMESPACE).unpack(packet)
    assert isinstance(what, Rejected)
    assert what.reason is Reason.NOT_UTF8
    assert what.raw == packet


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda t: (HEAD + t).encode()))
@example(b"")
@example(b"42/")
@example(HEAD.encode() + b'["')
def test_any_bytes_are_an_event_or_rejected_and_never_an_exception(packet: bytes) -> None:
    assert isinstance(Unpacker(NAMESPACE).unpack(packet), Event | Rejected)


@given(name=st.text(), extra=json_values, blank=st.sampled_from(["", " ", "\n\t"]))
def test_any_valid_packet_gives_the_envelope_it_was_made_of(
    name: str, extra: object, blank: str
) -> None:
    envelope = json.dumps(
        {
            "id": "evt_1",
            "type": "t",
            "created_at": "2026-07-01T12:00:00Z",
            "data": {"id": "dm_pos_1", "status": "open", "extra": extra},
        }
    )
    what = unpack(f"{HEAD}[{blank}{json.dumps(name)}{blank},{blank}{envelope}{blank}]")
    assert isinstance(what, Event)
    assert what.envelope.strip() == envelope.encode()
