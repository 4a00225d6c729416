"""The common language: facts of the log, and what is wrong with an input that is none.

A *fact* is a row of the log: an :class:`Event` from a gateway or a file, a :class:`Snapshot` of
what ``GET /positions`` returned, or an operator's :class:`Retraction` of another fact. An input
that cannot be understood becomes a :class:`Rejected`, which keeps it whole.
"""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

SNAPSHOT_TYPE = "snapshot"
"""The ``type`` of a snapshot in the log."""

RETRACTION_TYPE = "retraction"
"""The ``type`` of a retraction in the log."""

LONGEST_ENVELOPE = 16 * 1024 * 1024
"""Bytes of an envelope, or of a position in an answer, at most; a usual one has two thousand."""


class Source(StrEnum):
    """Where a fact came from, as the log's ``source`` column spells it."""

    PARTNER = "partner"
    CUSTOMER = "customer"
    IMPORT = "import"
    REST = "rest"


class Reason(StrEnum):
    """Why an input is in quarantine."""

    NOT_JSON = "not_json"
    NOT_UTF8 = "not_utf8"
    TOO_DEEP = "too_deep"
    TOO_LONG = "too_long"
    NOT_AN_OBJECT = "not_an_object"
    BAD_ID = "bad_id"
    BAD_TYPE = "bad_type"
    BAD_CREATED_AT = "bad_created_at"
    BAD_DATA = "bad_data"
    WRONG_ARGUMENTS = "wrong_arguments"
    BINARY_ATTACHMENT = "binary_attachment"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    REFUSED_BY_DATABASE = "refused_by_database"
    INTERNAL_ERROR = "internal_error"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One envelope, understood.

    Attributes:
        event_id: the envelope's ``id``.
        type: the envelope's ``type``, known or not.
        created_at: when the vendor emitted it, UTC, cut to microseconds.
        position_id: the position it speaks of; empty where it names none.
        status: the position's status; None where ``data`` is no position (a notification).
        envelope: the JSON text as it came over the wire, UTF-8.
    """

    event_id: str
    type: str
    created_at: datetime
    position_id: str
    status: str | None
    envelope: bytes


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A position as ``GET /positions`` returned it.

    Attributes:
        position_id: the position.
        status: its status in the body.
        as_of: a moment at which the server had certainly not read the position yet, UTC.
        supersedes_before: events created up to this moment are overruled, UTC.
        body: the position object as it came over the wire, UTF-8 JSON.
        carried: what the body does not speak of and the position keeps: an object, UTF-8 JSON;
            empty if nothing.
    """

    position_id: str
    status: str
    as_of: datetime
    supersedes_before: datetime
    body: bytes
    carried: bytes = b""

    @property
    def event_id(self) -> str:
        """A name that the same body of the same moment always gets."""
        parts = (self.position_id.encode(), _wire_time(self.as_of), self.body, self.carried)
        content = b"\0".join(parts if self.carried else parts[:-1])
        return "snp_" + hashlib.sha256(content).hexdigest()[:32]

    @property
    def envelope(self) -> bytes:
        """The snapshot in the form of an envelope, for the log."""
        return b'{"id":"%s","type":"snapshot","created_at":"%s","data":%s%s}' % (
            self.event_id.encode(),
            _wire_time(self.as_of),
            self.body,
            b',"carried":' + self.carried if self.carried else b"",
        )


class Retraction(msgspec.Struct, frozen=True, gc=False):
    """An operator's statement that one fact of the log is wrong.

    Attributes:
        position_id: the position of that fact.
        retracts: the ``event_id`` of that fact: an event, a snapshot or another retraction.
        reason: why, in the operator's words.
        created_at: when the operator made it, UTC.
    """

    position_id: str
    retracts: str
    reason: str
    created_at: datetime

    @property
    def event_id(self) -> str:
        """A name made of the content, so that no two retractions can name each other."""
        parts = (self.position_id, self.retracts, self.reason)
        content = b"\0".join((_wire_time(self.created_at), *(part.encode() for part in parts)))
        return "ret_" + hashlib.sha256(content).hexdigest()[:32]

    @property
    def envelope(self) -> bytes:
        """The retraction in the form of an envelope, for the log; nothing else is needed of it."""
        return msgspec.json.encode(
            {
                "id": self.event_id,
                "type": RETRACTION_TYPE,
                "created_at": _wire_time(self.created_at).decode(),
                "data": {
                    "position_id": self.position_id,
                    "retracts": self.retracts,
                    "reason": self.reason,
                },
            }
        )


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An input that is no event, whole.

    Attributes:
        raw: the bytes as they came.
        reason: what is wrong, for programs.
        detail: what is wrong, for people.
        digest: what tells the input from others, where that is not ``raw``: SHA-256 of the whole
            where ``raw`` is its beginning alone, and of a position's id where REST shows one that
            is no position again and again.
    """

    raw: bytes
    reason: Reason
    detail: str
    digest: bytes | None = None


class Received(msgspec.Struct, frozen=True, gc=False):
    """An input and the circumstances of its arrival.

    Attributes:
        what: the event (a snapshot in an imported log as one, too), the retraction, or what is
            wrong with the input.
        received_at: when it reached this process, UTC; of a row of another store's log when it
            reached that store.
        source: which door it came through.
        supersedes_before: of a snapshot in an imported log what it overrules, UTC.
    """

    what: Event | Retraction | Rejected
    received_at: datetime
    source: Source
    supersedes_before: datetime | None = None


def _wire_time(moment: datetime) -> bytes:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
