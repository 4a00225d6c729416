import json

import pytest

from positionstore.dimes.redaction import redacted
from positionstore.dimes.refusal import Verdict, judge, words_of

KEY = "dm_sbx_skey_0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIweDAifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "words",
    [
        "authentication_error: invalid_api_key: The API key is not valid.",
        "Unauthorized",
        "unauthorised",
        "Invalid API key",
        "Missing apiKey",
        "bad key",
        "jwt expired",
        "The token has expired.",
        "Invalid credentials",
        "Forbidden resource",
        "Access denied",
        "401",
        "Partner suspended",
    ],
)
def test_clear_words_blame_the_credentials(words: str) -> None:
    assert judge(words) is Verdict.CREDENTIALS


@pytest.mark.parametrize(
    "words",
    [
        "Internal server error",
        "Service Unavailable",
        "Invalid namespace",
        "Authentication service unavailable",
        "Authentication timed out",
        "Too many connections for this API key",
        "Rate limit exceeded",
        "connect ECONNREFUSED 127.0.0.1:6379",
        "Server is shutting down",
        "Server is starting, token cache is not ready",
        "database connection lost while checking the key",
        "503",
    ],
)
def test_words_of_a_passing_fault_are_believed_even_if_they_speak_of_keys(words: str) -> None:
    assert judge(words) is Verdict.PASSING


@pytest.mark.parametrize("words", ["", "nope", "x is not a function"])
def test_other_words_tell_nothing(words: str) -> None:
    assert judge(words) is Verdict.UNCLEAR


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"type": "a", "code": "b", "message": "c"}}, "a: b: c"),
        ({"message": "no", "data": {"status": 401}}, "no: 401"),
        ("plain", "plain"),
        (["several", {"args": ["here"]}], "several: here"),
        ([], ""),
        (None, ""),
        ({"a": {"b": {"c": {"d": {"e": "too deep"}}}}}, ""),
    ],
)
def test_the_words_of_any_shape_are_found(body: object, words: str) -> None:
    assert words_of(json.dumps(body)) == words


def test_what_is_no_json_speaks_for_itself() -> None:
    assert words_of("<html>\n502 Bad Gateway</html>") == "<html> 502 Bad Gateway</html>"
    assert words_of(b"\xff\xfe") == "\ufffd\ufffd"
    assert words_of("[" * 100_000).startswith("[[[")


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is unknown",
        f"token {JWT}.",
        f"GET https://api.dimes.fi/x?token={JWT}&a=1",
        f"GET https://api.dimes.fi/x?api_key={KEY}",
        "postgresql://user:pa55word@host/db refused",
        f"GET https://api.dimes.fi/x?a=1&the_Secret_of={KEY}&b=2",
        f"POST /x?next={JWT}?api-key={KEY}",
    ],
)
def test_secrets_do_not_come_through(text: str) -> None:
    line = redacted(text)
    assert "***" in line
    for secret in (KEY, JWT, "pa55word"):
        assert secret not in line


def test_a_line_stays_one_short_printable_line() -> None:
    line = redacted("\x1b[31mred\x1b[0m\nand\tmore " + "x" * 1000)
    assert line.startswith(r"\x1b[31mred\x1b[0m and more xxx")
    assert line.isprintable()
    assert len(line) == 300


@pytest.mark.parametrize(
    "piece",
    ["?key", "&auth?", "?token&secret", "eyJ", "eyJ.", "://a", "://a:b", "dm_live_skey_", "a "],
)
def test_megabytes_of_hostile_words_are_answered_as_a_few_are(piece: str) -> None:
    # A pattern that looks far ahead from each of them would not end before the test's time is up.
    line = redacted(piece * 1_000_000)

    assert 0 < len(line) <= 300


def test_no_half_of_a_secret_is_shown_where_a_long_text_is_cut() -> None:
    text = f"x {' ' * (20_000 - 32)}postgresql://user:pa55word{'o' * 100}@host"

    assert "pa55" in text[:20_000]
    assert "pa55" not in redacted(text)
