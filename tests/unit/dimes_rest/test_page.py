import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.dimes.json_exact import MAX_DEPTH
from positionstore.dimes.page import Item, Listed, UnreadableError, read_item, read_list
from positionstore.dimes.page import read_position as read_one
from positionstore.model.facts import Reason, Rejected, Snapshot


def page(*items: bytes, more: bytes = b"false") -> bytes:
    return b'{"data":[' + b",".join(items) + b'],"has_more":' + more + b"}"


def position(raw: bytes) -> Listed:
    what = read_item(raw).what
    assert isinstance(what, Listed)
    assert what.body == raw
    return what


def flaw(raw: bytes) -> tuple[str | None, Reason, str]:
    item = read_item(raw)
    assert isinstance(item.what, Rejected)
    assert item.what.raw == raw
    return item.id, item.what.reason, item.what.detail


def test_a_position_keeps_the_bytes_it_came_in() -> None:
    raw = b'{ "id": "a",\t"status":"open" , "n":1e400, "d":0.10, "i":12345678901234567890123456789}'
    items, more = read_list(b' {"has_more" : true, "data": [ ' + raw + b' ], "extra":{}}\n')
    assert items == [Item("a", position(raw))]
    assert more


def test_what_a_walk_needs_is_read_out_of_it() -> None:
    raw = (
        b'{"id":"a","status":"closed","wallet_address":"0xAb",'
        b'"result":{"closed_at":"2026-07-01T12:00:00.123Z","x":1}}'
    )
    found = position(raw)
    assert (found.position_id, found.status, found.wallet_address) == ("a", "closed", "0xAb")
    assert found.closed_at == datetime(2026, 7, 1, 12, 0, 0, 123_000, UTC)


@pytest.mark.parametrize(
    "rest",
    [
        b'"result":null',
        b'"result":7',
        b'"result":{"closed_at":5}',
        b'"result":{"closed_at":"yesterday"}',
        b'"result":{"closed_at":"2026-07-01T12:00:00"}',
        b'"result":[]',
        b'"wallet_address":5',
        b'"wallet_address":null',
    ],
)
def test_what_cannot_be_read_out_of_it_does_not_make_it_less_of_a_position(rest: bytes) -> None:
    found = position(b'{"id":"a","status":"closed",' + rest + b"}")
    assert (found.closed_at, found.wallet_address) == (None, None)


@pytest.mark.parametrize("status", ["", "unheard_of", "ÄÖ 🦆"])
def test_any_status_is_kept(status: str) -> None:
    assert position(json.dumps({"id": "a", "status": status}).encode()).status == status


def test_what_postgres_cannot_hold_is_replaced_in_the_strings_and_kept_in_the_body() -> None:
    found = position(b'{"id":"a\\u0000b","status":"\\ud800","wallet_address":"\\udfff"}')
    assert (found.position_id, found.status, found.wallet_address) == ("a�b", "�", "�")
    assert read_item(found.body).id == "a\0b"


def test_a_page_with_lone_surrogates_is_read_byte_for_byte() -> None:
    items = [
        rb'{"id":"a","status":"open","t":"\ud800"}',
        rb'{"id":"b","status":"open","t":"\\ud800 \\\ud83d \ud83d\udc4d \" \udc00\\"}',
        rb'{"id":"c","status":"open","\uDFFF":"\u0000"}',
        '{"id":"d","status":"open","t":"🦆 � \u007f"}'.encode(),
    ]
    read, more = read_list(page(*items, more=b"true"))
    assert more
    assert [item.what.body for item in read if isinstance(item.what, Listed)] == items


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.text(min_size=1),
                "status": st.text(),
                "x": st.recursive(
                    st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=8,
                ),
            }
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_any_page_is_split_into_the_exact_texts_of_its_elements(
    values: list[dict[str, object]], ascii_only: bool
) -> None:
    raws = [json.dumps(each, ensure_ascii=ascii_only).encode() for each in values]
    items, _ = read_list(page(*raws))
    assert [item.id for item in items] == [each["id"] for each in values]
    assert [item.what.body for item in items if isinstance(item.what, Listed)] == raws


@given(st.text(alphabet=st.characters(categories=["Cs", "Ll", "Po", "Cc"]) | st.just("\\")))
def test_any_escape_survives(text: str) -> None:
    raw = json.dumps({"id": "a", "status": text, "t": [text]}).encode()
    items, _ = read_list(page(raw, raw))
    assert [item.what.body for item in items if isinstance(item.what, Listed)] == [raw, raw]


@pytest.mark.parametrize(
    ("raw", "own", "reason", "detail"),
    [
        (b"7", None, Reason.NOT_AN_OBJECT, "It is a number, not an object."),
        (b"null", None, Reason.NOT_AN_OBJECT, "It is null, not an object."),
        (b"{}", None, Reason.BAD_ID, "id is missing."),
        (b'{"id":7,"status":"open"}', None, Reason.BAD_ID, "id is a number."),
        (b'{"id":"","status":"open"}', None, Reason.BAD_ID, "id is an empty string."),
        (b'{"id":"a"}', "a", Reason.BAD_DATA, "status is missing."),
        (b'{"id":"a","status":null}', "a", Reason.BAD_DATA, "status is null."),
        (
            b'{"id":"a","status":"\xff"}',
            "a",
            Reason.NOT_UTF8,
            "It is not UTF-8 at byte 20.",
        ),
    ],
)
def test_what_is_no_position_is_kept_with_what_is_wrong(
    raw: bytes, own: str | None, reason: Reason, detail: str
) -> None:
    assert flaw(raw) == (own, reason, detail)


def test_one_bad_element_costs_one_element() -> None:
    good = b'{"id":"a","status":"open"}'
    items, _ = read_list(page(good, b'{"id":"b","status":"\xff"}', b"[]", good))
    assert [type(item.what) for item in items] == [Listed, Rejected, Rejected, Listed]


def test_a_position_may_nest_as_deeply_as_its_snapshot_s_envelope_allows() -> None:
    def nested(levels: int) -> bytes:
        inner = levels - 1
        return b'{"id":"a","status":"open","x":' + b"[" * inner + b"]" * inner + b"}"

    assert position(nested(MAX_DEPTH - 1)).position_id == "a"
    assert flaw(nested(MAX_DEPTH))[:2] == ("a", Reason.TOO_DEEP)


def test_the_snapshot_of_a_position_is_json() -> None:
    found = position(b'{"id":"a","status":"open","x":"\\ud800"}')
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    snapshot = Snapshot(found.position_id, found.status, moment, moment, found.body)
    assert json.loads(snapshot.envelope)["data"]["id"] == "a"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"data":[]}',
        b'{"data":{},"has_more":false}',
        b'{"data":[],"has_more":1}',
        b'{"data":[],"has_more":null}',
        b'{"data":[{"id":"a"',
        b'{"data":[{"id":"\\ud800"}],"has_mo',
        b'{"data":["\xff\\ud800"],"has_more":false}',
        b'{"data":[],"has_more":false} trailing',
        b'\xef\xbb\xbf{"data":[],"has_more":false}',
        b'{"data":[' + b"[" * 200_000,
        b'{"error":{"type":"t","code":"c"}}',
    ],
)
def test_what_is_no_list_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_list(content)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    for read in (read_list, read_one):
        with contextlib.suppress(UnreadableError):
            read(content)
    read_item(content)


def test_one_position_is_the_same_bytes_asked_for_alone() -> None:
    raw = b'{"id":"a","status":"open"}'
    item = read_one(b"\r\n " + raw + b"\n")
    assert item == read_list(page(raw))[0][0]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"id":"a"', b"<html>", b'{"a":"\xff"}'])
def test_what_is_no_object_is_no_answer(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_one(content)
