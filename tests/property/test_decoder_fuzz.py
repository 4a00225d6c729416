"""Whatever comes over the wire, the decoder answers, exactly, and the same on both of its ways."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import invariants
from support.profiles import tries
from support.wire_noise import VALID, anything, as_json, damaged, spelled, values

from positionstore.dimes import json_exact as exact
from positionstore.dimes.decoder import decode
from positionstore.model.facts import Event


@tries(1000)
@given(anything())
@example(b"")
@example(VALID)
def test_anything_is_an_event_or_says_what_is_wrong_and_is_kept_whole(raw: bytes) -> None:
    invariants.of_an_envelope(raw)


@tries(200)
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


@tries(300)
@given(raw=spelled(values), block=st.integers(1, 9), limit=st.integers(0, 4))
@example(raw=rb'["\\", ["\\\"[[["]]', block=1, limit=1)
def test_a_text_nests_as_deep_as_its_value(raw: bytes, block: int, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_BLOCK", block)

        assert exact._nests_deeper(raw, limit) == (_depth(json.loads(raw)) > limit)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0
