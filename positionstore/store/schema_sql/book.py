"""The book in dollars: ``open_positions`` and ``closed_positions``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from positionstore.model.fields import FIRST_FIELDS, VALUATION_FIELDS, Field, Shape
from positionstore.store.schema_sql.columns import (
    OWN,
    REST,
    Column,
    column_of,
    in_view,
    quoted,
    valuation_column,
)


@dataclass(frozen=True, slots=True)
class Book:
    """A view of the book as analysts read it: dollars beside pips, ratios beside basis points.

    Attributes:
        name: of the view.
        shape: which shape the positions in it have.
        own: its own columns after those of the fields: an expression, a name, a comment.
        last: columns of that kind that came later, and so after the rest.
        rest: what follows the columns.
        meaning: its COMMENT.
    """

    name: str
    shape: Shape
    own: tuple[tuple[str, str, str], ...]
    last: tuple[tuple[str, str, str], ...]
    rest: str
    meaning: str


def _with_dollars(expression: str, column: Column) -> Iterator[tuple[str, str, str]]:
    """Yield a column and, of an amount or a leverage, what it is in dollars or as a ratio."""
    name, comment = column.name, column.comment
    yield expression, name, comment
    if name.endswith("_usd_pips"):
        in_dollars = comment.replace("In pips: 10,000 are 1 USD.", "In USD, exact.")
        yield _scaled(expression), name.removesuffix("_pips"), in_dollars
    elif name.endswith("leverage_bps"):
        as_ratio = comment.replace("; 20,000 bps are 2x", ", as a ratio")
        yield _scaled(expression), name.removesuffix("_bps"), as_ratio


def _scaled(expression: str) -> str:
    """Return ten-thousandths as a number of units; any bigint has fewer digits than this type."""
    return f"({expression} * 0.0001)::numeric(24,4)"


def view(book: Book, added: Sequence[Field]) -> str:
    """Return a view of the book and its comments."""

    def of_fields(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
        for field in fields:
            if book.shape in field.shapes:
                yield from _with_dollars(f"p.{field.column}", in_view(column_of(field)))

    def of_valuation(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
        for field in fields:
            if book.shape is Shape.LIVE and field in VALUATION_FIELDS:
                yield from _valued(field)

    rest = [column for column in REST if column.name not in {"data", "supersedes_before"}]
    columns = [
        *of_fields(sorted(FIRST_FIELDS, key=lambda field: field.column not in OWN)),
        *book.own,
        *((f"p.{column.name}", column.name, column.comment) for column in rest),
        *book.last,
        *(column for field in added for column in (*of_fields([field]), *of_valuation([field]))),
    ]
    selected = ",\n".join(
        f"    {value}" if value == f"p.{name}" else f"    {value} AS {name}"
        for value, name, _ in columns
    )
    comments = "\n".join(
        f"COMMENT ON COLUMN {book.name}.{name} IS {quoted(comment)};"
        for _, name, comment in columns
    )
    return (
        f"CREATE OR REPLACE VIEW {book.name} WITH (security_invoker = true) AS\nSELECT\n"
        f"{selected}\nFROM positions p\n{book.rest}"
        f"COMMENT ON VIEW {book.name} IS\n    {quoted(book.meaning)};\n{comments}\n"
    )


def _valued(field: Field) -> Iterator[tuple[str, str, str]]:
    """Yield the columns of ``open_positions`` for one that is valued."""
    column = valuation_column(field)
    shown = replace(column, name=f"valuation_{column.name.removeprefix('current_')}")
    yield from _with_dollars(f"x.{column.name}", shown)


def _in_seconds(interval: str, name: str) -> tuple[str, str, str]:
    """Return the column beside a duration that tools read which have no type for one."""
    value = f"extract(epoch FROM {interval})::numeric(18,6)"
    return value, f"{name}_seconds", f"{name} in seconds, exact."


_HELD: Final = (
    (
        "moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at))",
        "opened_at",
        (
            "When it opened: entry_opened_at where the body tells it, else the created_at of the"
            " event that shows it open; see opened_moment. NULL where it never opened. UTC."
        ),
    ),
    (
        "moment_source(opened_moment(p.position_id, p.phase, p.entry_opened_at))",
        "opened_at_source",
        "Where opened_at is from: body, event, or snapshot (then it had opened by then).",
    ),
)
_ENDED: Final = (
    (
        "moment_at(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at))",
        "ended_at",
        (
            "When it ended: result_closed_at where the body tells it, else the created_at of the"
            " event that ended it; see ended_moment. UTC."
        ),
    ),
    (
        "moment_source(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at))",
        "ended_at_source",
        "Where ended_at is from: body, event, or snapshot (then it had ended by then).",
    ),
)
CLOSED: Final = Book(
    name="closed_positions",
    shape=Shape.CLOSED,
    own=(
        *_HELD,
        *_ENDED,
        (
            f"{_ENDED[0][0]} - {_HELD[0][0]}",
            "held_for",
            "ended_at less opened_at; NULL where it never opened.",
        ),
    ),
    last=(_in_seconds(f"({_ENDED[0][0]} - {_HELD[0][0]})", "held_for"),),
    rest="WHERE p.phase = 'terminal';\n",
    meaning="The positions that have ended, with dollars beside pips: closed, settled, liquidated,"
    " and cancelled, which have no opened_at unless they had opened before.",
)
OPEN: Final = Book(
    name="open_positions",
    shape=Shape.LIVE,
    own=(
        *_HELD,
        (
            "x.as_of",
            "valuation_at",
            (
                "The moment of the valuation: that of the latest one in valuations, or of the last"
                " fact where that is newer; NULL where there is none. UTC."
            ),
        ),
        ("now() - x.as_of", "valuation_age", "How old the valuation is now."),
        (
            "CASE WHEN fresh.is_newer THEN 'reading' WHEN x.as_of IS NOT NULL THEN 'fact' END",
            "valuation_source",
            (
                "Where all valuation_ columns are from: reading (GET /positions, in valuations) or"
                " fact (the last fact, as the current_, risk_, fees_ and timing_ columns are)."
            ),
        ),
        *_with_dollars(
            "open_interest(x.notional_usd_pips, p.entry_notional_usd_pips)",
            Column(
                "open_interest_usd_pips",
                "bigint",
                "Notional by the valuation, or at entry where it tells none: the one definition of"
                " open interest, see the function. In pips: 10,000 are 1 USD.",
            ),
        ),
        *(
            column
            for field in VALUATION_FIELDS
            if field in FIRST_FIELDS
            for column in _valued(field)
        ),
    ),
    last=(_in_seconds("now() - x.as_of", "valuation_age"),),
    rest="""\
LEFT JOIN valuations v ON v.position_id = p.position_id
CROSS JOIN LATERAL (
    SELECT v.as_of >= p.last_event_at
        OR (v.as_of IS NOT NULL AND p.current_mark_price_usd_pips IS NULL) AS is_newer
) fresh
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN fresh.is_newer THEN v.as_of
            WHEN p.current_mark_price_usd_pips IS NOT NULL THEN p.last_event_at
        END AS as_of,
"""
    + ",\n".join(
        f"        CASE WHEN fresh.is_newer THEN v.{field.path[-1]} ELSE p.{field.column} END"
        f" AS {field.path[-1]}"
        for field in VALUATION_FIELDS
    )
    + "\n) x\nWHERE p.phase = 'live';\n",
    meaning="The positions that are open, with dollars beside pips and the latest valuation. A"
    " pending one is not open yet: it stands in positions alone.",
)
