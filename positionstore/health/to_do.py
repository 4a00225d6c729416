"""What an operator does about a position that still differs from ``GET /positions``."""

import re
from dataclasses import dataclass
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
"""An id that means nothing to a shell, nor to SQL."""

_COMPARE: Final = "positionstore reconcile --full"
_FACTS: Final = (
    "SELECT seq, type, status, created_at, source FROM events WHERE position_id = '{}' ORDER BY seq"
)
_ANSWERS: Final = (
    "SELECT run_id, field, store_value, rest_value FROM discrepancies WHERE position_id = '{}'"
)


@dataclass(frozen=True, slots=True)
class ToDo:
    """What to do.

    Attributes:
        words: in a sentence.
        command: what to run first; nothing where nothing is to be done.
    """

    words: str
    command: str


def to_do(position_id: str, kind: str, resolution: str) -> ToDo:
    """Say what to do about a position.

    Args:
        position_id: its id, as it came over the wire.
        kind: how it differs.
        resolution: what became of the difference.
    """
    if resolution == "in_flux":
        return ToDo("Nothing: it changed while it was compared, and the next run looks again.", "")
    if kind == "absent_upstream":
        words = "Ask the vendor, with its facts: the store has it, GET /positions does not know it."
        return ToDo(words, _psql(_FACTS, position_id))
    if kind == "unreadable":
        words = "Ask the vendor: what GET /positions answers for it is no position."
        return ToDo(words, _psql(_ANSWERS, position_id))
    return ToDo("Compare all again; if it stays, ask the vendor which is right.", _COMPARE)


def _psql(statement: str, position_id: str) -> str:
    if not _PLAIN.fullmatch(position_id):
        # No id from the wire is made part of a command line that it could change.
        return _COMPARE
    return f'positionstore db psql -c "{statement.format(position_id)}"'
