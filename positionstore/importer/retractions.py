"""Reads retractions from the envelopes of a moved log."""

from typing import Final

import msgspec

from positionstore.dimes.json_exact import LONGEST_ID, sanitize_text
from positionstore.model.facts import RETRACTION_TYPE, Event, Reason, Rejected, Retraction
from positionstore.model.timestamps import parse_instant

RETRACTION_ID_PREFIX: Final = "ret_"


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    position_id: str
    retracts: str
    reason: str


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    type: str
    created_at: str
    data: _Data


_decoder: Final = msgspec.json.Decoder(_Envelope)


def is_retraction(event: Event) -> bool:
    """Whether an envelope that decodes as an event is one of our retractions.

    Only for input from an operator: a gateway cannot retract.
    """
    return event.type == RETRACTION_TYPE and event.event_id.startswith(RETRACTION_ID_PREFIX)


def read_retraction(raw: bytes) -> Retraction | Rejected:
    """Return the retraction of an envelope, or what is wrong with it.

    Its id must match its content, so that a changed envelope is noticed.
    """
    try:
        envelope = _decoder.decode(raw)
        created_at = parse_instant(envelope.created_at)
    except (msgspec.MsgspecError, ValueError) as error:
        return Rejected(
            raw, Reason.BAD_DATA, f"It is not a retraction as retract writes it: {error}."
        )
    data = envelope.data
    for name in (data.position_id, data.retracts):
        if not name or sanitize_text(name) != name or len(name.encode()) > LONGEST_ID:
            return Rejected(raw, Reason.BAD_ID, "It is a retraction that names no possible fact.")
    made = Retraction(data.position_id, data.retracts, data.reason, created_at)
    if made.event_id != envelope.id or envelope.type != RETRACTION_TYPE:
        return Rejected(raw, Reason.BAD_ID, "It is a retraction whose id is not of its content.")
    return made
