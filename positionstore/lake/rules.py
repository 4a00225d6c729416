"""What the order of facts hangs on besides the facts: the precedences, and what is retracted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

TERMINAL: Final = "terminal"

PHASES: Final = ("pending", "live", TERMINAL)
"""The phases, in their order."""

_LINKS: Final = 100
"""How far a chain of retractions is followed, here and in ``is_retracted`` of the schema."""


class Rules(msgspec.Struct, frozen=True):
    """The precedences in force: the reference tables of the store.

    Attributes:
        statuses: each known status with its phase and its precedence.
        types: each known type with its precedence.
    """

    statuses: tuple[tuple[str, str, int], ...]
    types: tuple[tuple[str, int], ...]

    def encoded(self) -> str:
        """Return them as JSON, for a property of a table."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decoded(cls, text: str) -> "Rules":
        """Return what a property of a table says."""
        return msgspec.json.decode(text, type=cls)


@dataclass(frozen=True, slots=True)
class Retraction:
    """A retraction of the log.

    Attributes:
        position_id: the position.
        event_id: its own id.
        retracts: the fact that it names.
    """

    position_id: str
    event_id: str
    retracts: str


def retracted(of: Iterable[Retraction]) -> list[Retraction]:
    """Return, of each fact that a standing retraction names, the one with the least id.

    A retraction stands unless one that stands names it. They are few: an operator makes each.
    """
    naming: dict[tuple[str, str], list[str]] = {}
    for each in of:
        naming.setdefault((each.position_id, each.retracts), []).append(each.event_id)

    def standing(position_id: str, event_id: str, links: int) -> list[str]:
        """Return the retractions of a fact that stand."""
        if links >= _LINKS:
            return []
        return [
            name
            for name in naming.get((position_id, event_id), ())
            if not standing(position_id, name, links + 1)
        ]

    return [
        Retraction(position_id, min(names, key=str.encode), event_id)
        for position_id, event_id in naming
        if (names := standing(position_id, event_id, 0))
    ]
