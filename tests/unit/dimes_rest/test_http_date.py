from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.model.timestamps import as_of, parse_http_date

SENT = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)
STAMPED = datetime(2026, 7, 1, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 01 Jul 2026 09:00:00 GMT",
        "Wednesday, 01-Jul-26 09:00:00 GMT",
        "Wed Jul  1 09:00:00 2026",
        "Wed, 01 Jul 2026 11:00:00 +0200",
        "Wed, 01 Jul 2026 09:00:00 -0000",
    ],
)
def test_every_form_of_a_date_is_read(text: str) -> None:
    assert parse_http_date(text) == STAMPED


@pytest.mark.parametrize("text", [None, "", "soon", "2026-07-01T09:00:00Z", "Wed, 99 Jul 2026"])
def test_what_is_no_date_names_no_moment(text: str | None) -> None:
    assert parse_http_date(text) is None


@given(st.text(alphabet=st.characters(max_codepoint=0x7F), max_size=60))
def test_no_header_raises(text: str) -> None:
    parse_http_date(text)
    as_of(parse_http_date(text), round_trip=1.0, sent_at=SENT)


def test_the_as_of_is_the_server_s_date_less_the_round_trip() -> None:
    moment = as_of(STAMPED, round_trip=0.75, sent_at=SENT)
    assert moment == STAMPED - timedelta(seconds=0.75)


@pytest.mark.parametrize("date", [None, "", "nonsense"])
def test_without_a_date_it_is_the_local_time_before_sending(date: str | None) -> None:
    assert as_of(parse_http_date(date), round_trip=5, sent_at=SENT) == SENT


def test_a_date_at_the_beginning_of_time_raises_nothing() -> None:
    assert as_of(datetime(1, 1, 1, tzinfo=UTC), round_trip=1, sent_at=SENT) is not None


@given(
    leaves=st.floats(0, 1e6),
    there=st.floats(0, 100),
    thinking=st.floats(0, 100),
    back=st.floats(0, 100),
    ours=st.floats(-1e6, 1e6),
)
def test_the_as_of_is_never_later_than_the_request_left_by_the_server_s_clock(
    leaves: float, there: float, thinking: float, back: float, ours: float
) -> None:
    """Whatever the network and the server take, and however wrong our own clock is."""
    stamped = STAMPED + timedelta(seconds=leaves + there + thinking)
    date = stamped.strftime("%a, %d %b %Y %H:%M:%S GMT")
    sent_at = SENT + timedelta(seconds=ours)
    moment = as_of(parse_http_date(date), round_trip=there + thinking + back, sent_at=sent_at)
    left = STAMPED + timedelta(seconds=leaves)
    assert moment <= left + timedelta(microseconds=2)
    assert moment <= sent_at
    assert min(left, sent_at) - moment <= timedelta(seconds=1 + back, microseconds=2)
