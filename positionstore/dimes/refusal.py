"""Are the credentials wrong, or is the gateway unwell?

The vendor's document says that a gateway answers bad credentials with an ``error`` event and a
disconnect, but not what the event says. So its words are weighed: a wrong key must end the
process, for it would be retried for ever; a passing fault must not, for every minute away loses
events. Where the words speak of a passing fault they are believed first.

Source: the vendor's document, "Authentication errors".
"""

import re
from enum import StrEnum
from typing import Final

import msgspec

from positionstore.dimes.redaction import redacted


class Verdict(StrEnum):
    """What a complaint of the gateway means for the next attempt.

    ``CREDENTIALS``: the same credentials will be refused again. ``PASSING``: another attempt may
    succeed. ``UNCLEAR``: the words do not tell.
    """

    CREDENTIALS = "credentials"
    PASSING = "passing"
    UNCLEAR = "unclear"


_PASSING: Final = re.compile(
    r"""
    internal | unavailable | overload | too.?many | throttl | rate.?limit | quota | capacity
    | time(?:d)?.?out | shut\w*.?down | restart | start(?:ing|up) | not.ready | maintenance
    | temporar | try.again | retry | invalid.namespace | gateway.error | bad.gateway
    | E?CONN(?:REFUSED|RESET|ABORTED) | connection.(?:refused|reset|closed|lost|terminated)
    | database | redis | upstream | \b(?:429|5\d\d)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CREDENTIALS: Final = re.compile(
    r"""
    auth | forbidden | denied | credential | \b(?:api.?)?keys?\b | api.?key | token | jwt
    | signature | permission | not.allowed | revoked | suspended | disabled | expired
    | \b(?:401|403)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


def judge(words: str) -> Verdict:
    """Return what a complaint means, by its words alone."""
    if _PASSING.search(words):
        return Verdict.PASSING
    if _CREDENTIALS.search(words):
        return Verdict.CREDENTIALS
    return Verdict.UNCLEAR


def words_of(body: str | bytes) -> str:
    """Return what an error's JSON says, for a person: one line, without secrets.

    Takes any shape: the API's ``{"error": {"type", "code", "message"}}``, its inner object, a
    plain string, several arguments. What is no JSON is taken as it stands.
    """
    try:
        value: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body if isinstance(body, str) else body.decode(errors="replace")
        return redacted(text)
    return redacted(": ".join(_strings(value)))


def _strings(value: object, depth: int = 0) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    if depth < 4 and isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner, depth + 1)]
    if depth < 4 and isinstance(value, list):
        return [text for inner in value for text in _strings(inner, depth + 1)]
    return []
