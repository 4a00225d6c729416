"""What a gateway's failure means: wrong credentials, or something that may pass.

The vendor says that bad credentials are answered with an ``error`` event and a disconnect, but not
what the event says. A wrong key must end the process, since a retry cannot help. Everything else is
tried again, since every minute offline loses events. So only a clear answer counts:

1. a structured answer: a ``code``, ``type`` or ``statusCode`` that names the credentials;
2. a sentence that says only that the credentials are wrong. A single word or a number somewhere
   in a text means nothing.

A sign of a temporary fault outweighs a general refusal ("Unauthorized: fetch failed").

Source: the vendor's document, "Authentication errors".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from positionstore.dimes.failure_words import Label, is_field, label_of_code, label_of_text
from positionstore.redaction import redacted

_DEEPEST: Final = 5
_CODES: Final = frozenset({"type", "code", "status", "statuscode", "httpstatus", "name", "error"})


class Verdict(StrEnum):
    """What a failure means for the next attempt.

    ``CREDENTIALS``: the same credentials will be refused again. ``TOKEN``: the same token will be;
    what that means depends on its origin. ``STALE``: the token has expired or was revoked; a
    new one may be accepted. ``PASSING``: a temporary fault. ``UNCLEAR``: unknown.
    """

    CREDENTIALS = "credentials"
    TOKEN = "token"  # noqa: S105 - a verdict
    STALE = "stale"
    PASSING = "passing"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class GatewayFailure:
    """A gateway's failure.

    Attributes:
        verdict: its meaning.
        words: its text in one line, without secrets, at most 300 characters; may be empty.
    """

    verdict: Verdict = Verdict.PASSING
    words: str = ""


def classify(body: str | bytes) -> GatewayFailure:
    """Return the meaning of an answer.

    Args:
        body: JSON of any shape (the arguments of an ``error`` event, the body of a CONNECT_ERROR
            packet or of an HTTP answer), or text that is not JSON.
    """
    try:
        value: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body if isinstance(body, str) else body.decode(errors="replace")
        # A page of HTML is a proxy's, and its words are about the proxy.
        value = "" if text.lstrip().startswith("<") else text
    verdicts = set(_of_labels(value)) | {label_of_text(text) for text in _texts(value)}
    return GatewayFailure(_strongest(verdicts), words_of(body))


def words_of(body: str | bytes) -> str:
    """Return the text of an error's JSON for people: one line, without secrets.

    Takes any shape: the API's ``{"error": {"type", "code", "message"}}``, its inner object, a
    plain string, several arguments. Text that is not JSON is used as it is.
    """
    try:
        value: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body if isinstance(body, str) else body.decode(errors="replace")
        return redacted(text)
    return redacted(": ".join(dict.fromkeys(_strings(value))))


def _strongest(found: set[Label]) -> Verdict:
    blames = found & {Label.SURE, Label.TOKEN, Label.GENERAL}
    if Label.PASSING in found:
        # Both at once contradict each other, and then nothing is sure.
        return Verdict.UNCLEAR if blames else Verdict.PASSING
    if Label.STALE in found:
        return Verdict.STALE
    if Label.TOKEN in found and Label.SURE not in found:
        return Verdict.TOKEN  # the reason, whatever general refusal comes with it
    return Verdict.CREDENTIALS if blames else Verdict.UNCLEAR


_INNER: Final = frozenset({"response", "request", "config", "cause", "innererror"})
"""Where a server tells of a request of its own: a 401 there refused the server, not us."""


def _of_labels(value: object, depth: int = 0) -> Iterator[Label]:
    if depth >= _DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if is_field(key, _CODES):
                yield label_of_code(inner)
            found = _of_labels(inner, depth + 1)
            if is_field(key, _INNER):
                found = (label for label in found if label is Label.PASSING)
            yield from found
    elif isinstance(value, list):
        for inner in value:
            yield from _of_labels(inner, depth + 1)


_TEXTS: Final = frozenset(
    {"message", "msg", "error", "reason", "description", "errordescription", "detail", "details"}
    | {"title", "content", "text", "errors", "data", "response", "cause", "err"}
)


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth + 1)
    elif depth < _DEEPEST and isinstance(value, dict):
        for key, inner in value.items():
            if is_field(key, _TEXTS):
                yield from _texts(inner, depth + 1)


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
