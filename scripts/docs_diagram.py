"""The diagram of the tables: drawn from the database, and checked against its contents."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from positionstore.store.engine import WATERMARK


class Relation(NamedTuple):
    """A line of the diagram.

    Attributes:
        left: a table.
        left_key: its column.
        mark: how many of each side belong together, as Mermaid spells it: ``||`` one, ``|o`` one or
            none, ``}o`` any number.
        right: another table.
        right_key: its column.
        word: what the first one does to the other.
    """

    left: str
    left_key: str
    mark: str
    right: str
    right_key: str
    word: str


RELATIONS: Final = (
    Relation("events", "position_id", "}o--o|", "positions", "position_id", "is folded into"),
    Relation("positions", "last_event_id", "|o--||", "events", "event_id", "shows"),
    Relation("position_statuses", "status", "|o--o{", "events", "status", "ranks"),
    Relation("event_types", "type", "|o--o{", "events", "type", "ranks"),
    Relation("position_statuses", "status", "|o--o{", "positions", "status", "explains"),
    Relation("positions", "position_id", "||--o|", "valuations", "position_id", "is valued by"),
    Relation("positions", "position_id", "||--o{", "valuation_history", "position_id", "was worth"),
    Relation("reconciliation_runs", "run_id", "||--o{", "discrepancies", "run_id", "finds"),
    Relation(
        "positions", "position_id", "||--o{", "position_sub_resources", "position_id", "is told by"
    ),
    Relation("positions", "position_id", "|o--o{", "discrepancies", "position_id", "differs in"),
    Relation("backfills", "backfill_id", "||--o{", "backfill_walks", "backfill_id", "walks"),
    Relation("reconciliation_runs", "run_id", "|o--o|", "backfills", "run_id", "ends"),
    Relation(
        "positions", "position_id", "||--o|", "archived_positions", "position_id", "is kept by"
    ),
    Relation("archives", "archive_id", "||--o{", "archived_positions", "archive_id", "holds"),
)
ALONE: Final = ("quarantine", "stream_sessions", "store_identity")

_COLUMNS: Final = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod),
        coalesce(a.attnum = ANY (k.conkey), false)
    FROM pg_attribute a
    LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_TABLES: Final = """
    SELECT tablename FROM pg_tables
    WHERE schemaname = current_schema() AND tablename <> ALL (%s)
"""
_MACHINERY: Final = ["alembic_version", WATERMARK]
# In Python, since Citus joins by nothing but the column that spreads the tables.
_ROWS_BY_KEY: Final = "SELECT {key}, count(*) FROM {table} WHERE {key} IS NOT NULL GROUP BY {key}"
_SHOWN: Final = 7


def diagram(connection: psycopg.Connection) -> Iterator[str]:
    """Yield the lines of the diagram.

    Raises:
        LookupError: a line says what does not hold in this store, or one is missing.
    """
    tables = {
        name: connection.execute(_COLUMNS, [name]).fetchall()
        for name in dict.fromkeys([r.left for r in RELATIONS] + [r.right for r in RELATIONS])
        | dict.fromkeys(ALONE)
    }
    _check_completeness(connection, {name: [c[0] for c in tables[name]] for name in tables})
    for relation in RELATIONS:
        check(connection, relation)
        yield f'    {relation.left} {relation.mark} {relation.right} : "{relation.word}"'
    foreign = {(r.left, r.left_key) for r in RELATIONS} | {
        (r.right, r.right_key) for r in RELATIONS
    }
    for name, columns in tables.items():
        yield f"    {name} {{"
        for number, (column, kind, is_key) in enumerate(columns):
            if number >= _SHOWN and not is_key and (name, column) not in foreign:
                continue
            short = kind.replace("timestamp with time zone", "timestamptz")
            yield f"        {short.replace('[]', '_array')} {column}{' PK' if is_key else ''}"
        yield "    }"


def check(connection: psycopg.Connection, relation: Relation) -> None:
    """Check a line against the store: each end leads to as many rows as it says.

    Raises:
        LookupError: it does not.
    """
    left, right = relation.mark.split("--")
    ends = (
        (relation.left, relation.left_key, right, relation.right, relation.right_key),
        (relation.right, relation.right_key, left[::-1], relation.left, relation.left_key),
    )
    for table, key, mark, other, other_key in ends:
        others = _rows_by_key(connection, other, other_key)
        led_to = [others.get(value, 0) for value in _rows_by_key(connection, table, key)] or [1]
        fewest, most = min(led_to), max(led_to)
        if (mark == "||" and fewest < 1) or (mark in {"||", "o|"} and most > 1):
            raise LookupError(
                f"{table}.{key} leads to {fewest} to {most} rows of {other}, but the diagram says"
                f" {relation.mark}"
            )


def _rows_by_key(connection: psycopg.Connection, table: str, key: str) -> dict[object, int]:
    names = {"table": sql.Identifier(table), "key": sql.Identifier(key)}
    return dict(connection.execute(sql.SQL(_ROWS_BY_KEY).format(**names)).fetchall())


def _check_completeness(connection: psycopg.Connection, tables: dict[str, list[str]]) -> None:
    undrawn = {name for (name,) in connection.execute(_TABLES, [_MACHINERY])} - set(tables)
    if undrawn:
        raise LookupError(f"the diagram lacks {', '.join(sorted(undrawn))}")
    ends = {(r.left, r.left_key) for r in RELATIONS} | {(r.right, r.right_key) for r in RELATIONS}
    for key in {key for _, key in ends}:
        for name, columns in tables.items():
            if key in columns and (name, key) not in ends:
                raise LookupError(f"the diagram has no line for {name}.{key}")
