"""Secrets do not leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.cli.masking import MASK, hide, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key dm_live_skey_AbC-123_x.", f"key dm_live_skey_{MASK}"),
        ('{"k": "dm_sbx_skey_abc"}', f'{{"k": "dm_sbx_skey_{MASK}"}}'),
        ("token eyJhbGciOiJI.eyJzdWIiOi.SflKxw-_c here", f"token {MASK} here"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("authorization: api-key abc", f"authorization: api-key {MASK}"),
        ("postgresql://me:word@host:5432/d", f"postgresql://me:{MASK}@host:5432/d"),
        ("postgresql://me:w@o:rd@host/d", f"postgresql://me:{MASK}@host/d"),
        ("postgresql://:word@/d", f"postgresql://:{MASK}@/d"),
        (r"failed:\neyJhbGciOiJI.eyJzdWIiOi.Sfl", rf"failed:\n{MASK}"),
        ("host=h password=word dbname=d", f"host=h password={MASK} dbname=d"),
        ("password='two words' dbname=d", f"password={MASK} dbname=d"),
        (
            "postgresql://h/d?user=u&password=word&x=1",
            f"postgresql://h/d?user=u&password={MASK}&x=1",
        ),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "DIMES_API_KEY begins with neither dm_live_skey_ nor dm_sbx_skey_",
        "DIMES_API_KEY begins with neither dm_live_skey_ nor dm_sbx_skey_. Copy the whole key.",
        "https://api.dimes.fi/v1/ws/prediction-markets/positions",
        "postgresql://me@host/d",
        "at 12:00:00 me@example.com wrote to http://host:80/a",
        "the password is wrong",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "shown", ["p@ss wörd\"'", "p%40ss%20w%C3%B6rd%22%27", r"p@ss w\u00f6rd\"'"]
)
def test_a_secret_that_is_known_is_masked_in_every_form(shown: str) -> None:
    hide(["p@ss wörd\"'"])

    assert masked(f"<{shown}>") == f"<{MASK}>"


def test_a_secret_within_another_leaves_no_rest() -> None:
    hide(["opensesame", "opensesame-and-more"])

    assert masked("opensesame-and-more") == MASK


def test_a_word_too_short_to_guard_anything_is_no_secret() -> None:
    hide(["pg", ""])

    assert masked("a pg server") == "a pg server"


@given(st.text(max_size=80))
def test_masking_any_text_ends_and_changes_nothing_twice(text: str) -> None:
    once = masked(text)

    assert masked(once) == once


@pytest.mark.timeout(60)  # anything but linear time takes hours
@pytest.mark.parametrize(
    "piece",
    ["eyJa.", "eyJaaaa-", "a.", "a:", "://a", "a://b:c", "password=", "pwd='", "Bearer ", " "],
)
def test_masking_megabytes_of_anything_comes_back(piece: str) -> None:
    assert masked(f"Bearer {piece * (1_000_000 // len(piece))}")
