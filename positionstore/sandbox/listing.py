"""``GET /positions``: its parameters, its order and its pages."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from positionstore.sandbox.world import (
    ACTIVE_STATUSES,
    STATUSES,
    TERMINAL_STATUSES,
    Book,
    Position,
)

EXPANDABLE = ("unwinds",)


class BadParameterError(Exception):
    """A query parameter is not acceptable.

    Attributes:
        parameter: its name.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a list, checked."""

    limit: int = 25
    starting_after: str = ""
    ending_before: str = ""
    sort_by: str = "created_at"
    ascending: bool = False
    statuses: frozenset[str] = frozenset(STATUSES)
    expand: frozenset[str] = frozenset()

    @property
    def only_active(self) -> bool:
        """Whether no ended position can be in the list."""
        return self.statuses <= frozenset(ACTIVE_STATUSES)

    @property
    def only_inactive(self) -> bool:
        """Whether no living position can be in the list."""
        return self.statuses <= frozenset(TERMINAL_STATUSES)


def parse(parameters: Mapping[str, str]) -> Query:
    """Check the parameters of a list.

    Raises:
        BadParameterError: one of them has no such value.
    """
    limit = parameters.get("limit", "25")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 100):
        raise BadParameterError("limit", "limit must be a whole number from 1 to 100.")
    after, before = parameters.get("starting_after", ""), parameters.get("ending_before", "")
    if after and before:
        raise BadParameterError(
            "ending_before", "starting_after and ending_before exclude each other."
        )
    sort_by = _one_of(parameters, "sort_by", ("created_at", "closed_at"))
    direction = _one_of(parameters, "sort_direction", ("desc", "asc"))
    statuses = {"active": ACTIVE_STATUSES, "inactive": TERMINAL_STATUSES}.get(
        _one_of(parameters, "state", ("", "active", "inactive")), STATUSES
    )
    status = _one_of(parameters, "status", ("", *STATUSES))
    return Query(
        limit=int(limit),
        starting_after=after,
        ending_before=before,
        sort_by=sort_by,
        ascending=direction == "asc",
        statuses=frozenset(statuses) & frozenset([status] if status else STATUSES),
        expand=parse_expand(parameters),
    )


def parse_expand(parameters: Mapping[str, str]) -> frozenset[str]:
    """The sub-resources asked for.

    Raises:
        BadParameterError: there is no such sub-resource.
    """
    expand = frozenset(filter(None, parameters.get("expand", "").split(",")))
    if not expand <= frozenset(EXPANDABLE):
        raise BadParameterError("expand", f"expand knows {', '.join(EXPANDABLE)}.")
    return expand


def _one_of(parameters: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = parameters.get(name, allowed[0])
    if value not in allowed:
        known = ", ".join(filter(None, allowed))
        raise BadParameterError(name, f"{name} must be one of {known}.")
    return value


def walk(book: Book, query: Query, cursor: Position | None, *, lagging: bool) -> Iterator[Position]:
    """Yield the candidates beyond the cursor, in the direction in which the page is filled.

    A page before a cursor is filled backwards from it. What a page really shows is for the
    caller to filter, as a position's status may be looked up in the past.

    Args:
        book: what the caller may see.
        query: the list's parameters.
        cursor: the position the cursor names, if there is one.
        lagging: whether an older state is read, in which ended positions may still be alive.
    """
    backwards = bool(query.ending_before)
    if query.sort_by == "created_at":
        living = query.only_active and not lagging
        positions = list(book.active.values()) if living else book.created
        yield from _beyond(
            positions,
            None if cursor is None else cursor.serial,
            _serial,
            up=query.ascending != backwards,
        )
        return
    # Those that have not ended come last, whatever the direction.
    active = [] if query.only_inactive else list(book.active.values())
    up = query.ascending != backwards
    closed_cursor = cursor.closing_serial if cursor is not None and cursor.is_terminal else None
    active_cursor = cursor.serial if cursor is not None and not cursor.is_terminal else None
    if cursor is None:
        yield from chain(
            _beyond(book.closed, None, _closing_serial, up=up),
            _beyond(active, None, _serial, up=up),
        )
        return
    ended = _beyond(book.closed, closed_cursor, _closing_serial, up=up)
    alive = _beyond(active, active_cursor, _serial, up=up)
    if backwards:
        yield from ended if closed_cursor is not None else chain(alive, ended)
    else:
        yield from chain(ended, alive) if closed_cursor is not None else alive


def _serial(position: Position) -> int:
    return position.serial


def _closing_serial(position: Position) -> int:
    return position.closing_serial


def _beyond(
    positions: list[Position], cursor: int | None, key: Callable[[Position], int], *, up: bool
) -> Iterator[Position]:
    if up:
        first = 0 if cursor is None else bisect_right(positions, cursor, key=key)
        indices: Iterable[int] = range(first, len(positions))
    else:
        last = len(positions) if cursor is None else bisect_left(positions, cursor, key=key)
        indices = range(last - 1, -1, -1)
    return (positions[index] for index in indices)
