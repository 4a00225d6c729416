import json

import pytest

from positionstore.dimes.failures import Verdict, classify, words_of
from positionstore.redaction import redacted

KEY = "dm_sbx_skey_0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIweDAifQ.c2lnbmF0dXJl"


def verdict(answer: object) -> Verdict:
    """What the arguments of an ``error`` event mean, as they come over the wire."""
    return classify(json.dumps([answer])).verdict


@pytest.mark.parametrize(
    "answer",
    [
        # What the sandbox and the API say.
        {"type": "authentication_error", "code": "invalid_api_key", "message": "It is not valid."},
        "authentication_error: invalid_api_key: The API key is not valid.",
        {"error": {"type": "authentication_error", "code": "missing_credentials"}},
        # Structured answers.
        {"code": "UNAUTHORIZED", "connection_id": 512},
        {"code": "unauthorized", "connections": 503, "message": "Sorry"},
        {"code": 401},
        {"code": "401"},
        {"statusCode": 401, "message": "Unauthorized"},
        {"statusCode": 401, "message": "No", "error": "Unauthorized"},
        {"status": 401},
        {"status_code": 401},
        {"message": "no", "data": {"status": 401}},
        {"message": "x", "data": {"code": "INVALID_API_KEY"}},
        {"code": "invalid-api-key"},
        {"code": "auth/invalid-api-key"},
        {"name": "UnauthorizedError", "message": "The key was looked up"},
        {"code": "credentials_required", "message": "No authorization token was found"},
        {"error": "unauthorized"},
        {"error": {"code": "UNAUTHENTICATED", "status": "x"}},
        # NestJS: an `exception` event, or a filter's own.
        {"status": "error", "message": "Unauthorized"},
        {"status": "error", "message": "Unauthorized", "cause": {"pattern": "x", "data": None}},
        {"status": "error", "message": "Invalid credentials."},
        # Sentences.
        "Unauthorized",
        "unauthorised",
        "Unauthorized!",
        "Unauthorized access",
        "Not authorized",
        "You are not authorized to connect",
        "Unauthenticated",
        "401",
        "401 Unauthorized",
        "HTTP 401",
        "Error: Unauthorized",
        "Unauthorized: invalid API key",
        "Authentication failed",
        "Authentication failed. Check your API key and try again.",
        "Authentication error",
        "Authentication required",
        "Invalid API key",
        "Invalid API key. Connection closed.",
        "Invalid or missing API key",
        "Invalid API key provided: dm_sbx_skey_0123456789abcdef. Visit our page to find yours.",
        "The API key is not valid.",
        "API key is invalid",
        "API key not found",
        "API key not recognized",
        "API key has been revoked",
        "API key is disabled",
        "API key is not active",
        "API key expired",
        "Your API key has expired.",
        "Invalid or expired API key",
        "Missing apiKey",
        "No API key provided",
        "API key required",
        "bad api key",
        "Unknown API key",
        "Incorrect API key provided.",
        "Invalid credentials",
        "Bad credentials",
        "Partner suspended",
        "Account is disabled",
        "Format is Authorization: Bearer [token]",
    ],
)
def test_a_clear_answer_blames_the_credentials(answer: object) -> None:
    assert verdict(answer) is Verdict.CREDENTIALS


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"},
        {"name": "JsonWebTokenError", "message": "invalid signature"},
        "Unauthorized - missing token",
        "authentication error: invalid token",
        {"code": "UNAUTHORIZED", "message": "invalid signature"},
        {"statusCode": 401, "message": "jwt malformed", "error": "Unauthorized"},
        {"code": "invalid_token"},
        "Invalid token",
        "invalid signature",
        "jwt malformed",
        "jwt must be provided",
        "jwt signature is required",
        "jwt audience invalid. expected: https://api.dimes.fi",
        "jwt issuer invalid",
        "invalid algorithm",
        "signature verification failed",
        "No auth token",
        "No authorization token was found",
        "Missing authentication token",
        "Token is missing",
    ],
)
def test_an_answer_that_blames_a_token_leaves_it_to_where_the_token_is_from(answer: object) -> None:
    assert verdict(answer) is Verdict.TOKEN


@pytest.mark.parametrize(
    "answer",
    [
        "jwt expired",
        "Token expired",
        "The token has expired.",
        "Token has been revoked",
        "Invalid or expired token",
        "Unauthorized: jwt expired",
        "Session expired",
        {"code": "token_expired", "type": "authentication_error", "message": "It has expired."},
        {"name": "TokenExpiredError", "message": "jwt expired", "expiredAt": "2026-07-01"},
        {"code": "ERR_JWT_EXPIRED"},
        {"statusCode": 401, "message": "Token expired"},
        '"exp" claim timestamp check failed',
    ],
)
def test_a_token_whose_time_is_over_is_told_from_one_that_never_was_good(answer: object) -> None:
    assert verdict(answer) is Verdict.STALE


@pytest.mark.parametrize(
    "answer",
    [
        "Server busy",
        "Maximum number of connections reached for this API key",
        "A newer connection with the same key has taken over",
        "Auth service is unreachable",
        "Error verifying token: fetch failed",
        "TypeError: Cannot read properties of undefined (reading 'apiKey')",
        "Cannot read properties of null (reading 'token')",
        "apiKeys.find is not a function",
        "ReferenceError: token is not defined",
        "jwt not active",
        "Connection limit reached for API key",
        "Too many connections for this API key",
        "Rate limit exceeded for key",
        "Rate limit exceeded",
        "Too many requests",
        "Internal server error",
        "Service Unavailable",
        "Authentication service unavailable",
        "Authentication timed out",
        "Auth server is down",
        "Invalid namespace",
        "connect ECONNREFUSED 127.0.0.1:6379",
        "getaddrinfo ENOTFOUND auth.internal",
        "Server is shutting down",
        "Server is starting, token cache is not ready",
        "database connection lost while checking the key",
        "Failed to verify token: request timed out",
        "Unable to verify API key, try again later",
        "We are down for maintenance",
        "Quota of connections exceeded",
        "SyntaxError: Unexpected token < in JSON at position 0",
        "socket hang up",
        "502 Bad Gateway",
        {"code": 503},
        {"code": "429", "message": "key"},
        {"status": 500, "message": "The key could not be looked up"},
        {"type": "rate_limit_error", "message": "The key is used too often"},
        {"code": "ECONNREFUSED", "message": "auth"},
        {"name": "NotBeforeError", "message": "jwt not active", "date": "2026-07-01"},
        {"name": "TypeError", "message": "x"},
        {"code": "connection_limit", "message": "API key"},
    ],
)
def test_a_fault_of_the_server_passes_even_if_it_speaks_of_keys(answer: object) -> None:
    assert verdict(answer) is Verdict.PASSING


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "nope",
        None,
        {},
        [],
        17,
        401,
        "error",
        "Forbidden",
        "Forbidden resource",
        "403",
        "Access denied",
        {"code": 403},
        {"statusCode": 403, "message": "Forbidden resource", "error": "Forbidden"},
        {"connection_id": 401},
        {"message": {"status_of": "unauthorized"}},
        "401 connections are open",
        "key rotated",
        "Authorization moved to another host",
        "Your key was used from a new address",
        "Authentication failed: code E512",
        "Unauthorized region",
        "token of a sample was invalid",
        "This endpoint needs no API key",
        "Sample tokens expired yesterday and were replaced",
        "The list of invalid tokens was reloaded",
        {"status": "error", "message": "Forbidden resource"},
        {"type": "UnauthorizedCountry", "message": "Not in your country"},
        {"code": True},
        {"code": 4401},
        {"type": "invalid_request_error", "message": "The payload has no subject"},
        "x" * 100_000 + " Unauthorized",
    ],
)
def test_what_does_not_tell_is_unclear(answer: object) -> None:
    assert verdict(answer) is Verdict.UNCLEAR


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 401, "message": "Error verifying token: fetch failed"},
        {"code": "unauthorized", "message": "Auth service is unreachable"},
        {"type": "authentication_error", "message": "Too many connections for this key"},
        {"code": "UNAUTHORIZED", "status": 503},
        {"code": "invalid_token", "message": "jwt not active"},
    ],
)
def test_an_answer_that_contradicts_itself_is_unclear(answer: object) -> None:
    assert verdict(answer) is Verdict.UNCLEAR


@pytest.mark.parametrize(
    "page",
    [
        "<html><title>401 Unauthorized</title></html>",
        "<!DOCTYPE html><h1>Access denied</h1><p>Error 1020. Ray ID: 8f00</p>",
        "\n <html><body>Invalid API key</body></html>",
    ],
)
def test_a_page_of_html_is_somebody_else_s(page: str) -> None:
    assert classify(page).verdict is Verdict.UNCLEAR
    assert classify(page.encode()).verdict is Verdict.UNCLEAR


def test_text_that_is_no_json_is_read_as_a_sentence() -> None:
    assert classify("Unauthorized").verdict is Verdict.CREDENTIALS
    assert classify(b"Unauthorized\r\n").verdict is Verdict.CREDENTIALS
    assert classify(b"\xff\xfe").verdict is Verdict.UNCLEAR
    assert classify("[" * 100_000).verdict is Verdict.UNCLEAR


def test_the_words_are_quoted_once_and_without_secrets() -> None:
    said = classify(json.dumps([{"message": f"Invalid API key {KEY}", "data": {"x": "y"}}]))
    assert said.words == "Invalid API key ***: y"
    twice = {"message": "Unauthorized", "data": {"message": "Unauthorized"}}
    assert classify(json.dumps(twice)).words == "Unauthorized"


@pytest.mark.parametrize(
    "piece", ["the ", "invalid ", "no api key ", "api key is ", "a: ", "'", "(", "- ", "jwt "]
)
def test_a_hostile_text_is_answered_at_once(piece: str) -> None:
    # A pattern that tries every way would not end before the test's time is up.
    assert classify(json.dumps(piece * 300)).words
    assert classify(json.dumps(piece * 1_000_000)).words


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
