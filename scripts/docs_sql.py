"""The page of the SQL surface: each view and function, with an example and its output."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from positionstore.dimes.decoder import decode
from positionstore.facts import Received, Snapshot, Source
from positionstore.store import database
from positionstore.store.log import Appender

_HEAD = """\
# Reading with SQL

<!-- Made by scripts/docs.py from a migrated database and scripts/docs_sql.py; edit those, and run
this. The examples are run, and what follows each is what it gave. -->

What stands where, what it means, and an example of each. [The schema](schema.md) has every column;
why a row is as it is, [the order of facts](order-of-facts.md) tells. Amounts in `_usd_pips` are
whole numbers, 10,000 to the dollar; beside each stands `_usd`, the same as an exact decimal. Ratios
in `_bps` are whole numbers, 10,000 to 1. Times are UTC.

The examples are run on a little book. `dm_pos_1` was opened and closed, and the close came two
hours late. `dm_pos_2` is open. `dm_pos_3` was liquidated while nobody listened: the reconciler
found out. `dm_pos_4` is pending.

## The tables

Nothing is deleted from `events`, and `positions` follows from it alone.

```mermaid
erDiagram
{diagram}
```
"""

_RELATIONS = (
    ("events", "position_id", "}o--||", "positions", "position_id", "is folded into"),
    ("position_statuses", "status", "||--o{", "events", "status", "ranks"),
    ("event_types", "type", "||--o{", "events", "type", "ranks"),
    ("positions", "position_id", "||--o|", "valuations", "position_id", "is valued by"),
    ("valuations", "position_id", "||--o{", "valuation_history", "position_id", "was"),
    ("reconciliation_runs", "run_id", "||--o{", "discrepancies", "run_id", "finds"),
    ("positions", "position_id", "||--o{", "discrepancies", "position_id", "differs in"),
    ("backfills", "backfill_id", "||--o{", "backfill_walks", "backfill_id", "walks"),
    ("reconciliation_runs", "run_id", "|o--o|", "backfills", "run_id", "is the last part of"),
)
_ALONE = ("quarantine", "stream_sessions", "store_identity")

_EXAMPLES = (
    (
        "open_positions",
        (
            "SELECT position_id, side, entry_notional_usd, entry_leverage,\n"
            "    valuation_mark_price_usd, valuation_unrealized_pnl_usd, valuation_at\n"
            "FROM open_positions\n"
            "ORDER BY position_id;"
        ),
    ),
    (
        "closed_positions",
        (
            "SELECT position_id, status, held_for, fees_total_fees_usd,\n"
            "    result_net_realized_pnl_usd\n"
            "FROM closed_positions\n"
            "ORDER BY position_id;"
        ),
    ),
    (
        "position_timeline",
        (
            "SELECT place, type, created_at, delay, out_of_order, won, changed\n"
            "FROM position_timeline\n"
            "WHERE position_id = 'dm_pos_1'\n"
            "ORDER BY place;"
        ),
    ),
    (
        "position_lifecycle",
        (
            "SELECT position_id, opening_to_opened, opened_at, opened_from, ended_at, ended_from\n"
            "FROM position_lifecycle\n"
            "ORDER BY position_id;"
        ),
    ),
    (
        "daily_activity",
        (
            "SELECT day, side, opened, closed, liquidated, volume_usd, fees_usd,\n"
            "    net_realized_pnl_usd\n"
            "FROM daily_activity\n"
            "WHERE market_ticker = 'RAIN-LISBON'\n"
            "ORDER BY day, side;"
        ),
    ),
    (
        "positions_as_of",
        (
            "SELECT t.known_at, p.position_id, p.status, p.last_event_type\n"
            "FROM (VALUES (timestamptz '2026-07-01 17:00Z'), ('2026-07-03 00:00Z')) t (known_at)\n"
            "CROSS JOIN\n"
            "    positions_as_of('2026-07-01 17:00Z', t.known_at, of_wallet => '0xa11ce') p\n"
            "ORDER BY t.known_at, p.position_id;"
        ),
    ),
    (
        "book_changes",
        (
            "SELECT position_id, cause, valid_at, status_before, status_after, received_at\n"
            "FROM book_changes('2026-07-01 17:00Z', '2026-07-03 00:00Z')\n"
            "ORDER BY received_at, position_id;"
        ),
    ),
    (
        "events_after",
        "SELECT seq, event_id, position_id, type, received_at\nFROM events_after(6, 3);",
    ),
    (
        "ranked_facts",
        (
            "SELECT event_id, type, phase, rank\n"
            "FROM ranked_facts\n"
            "WHERE position_id = 'dm_pos_2'\n"
            "ORDER BY rank DESC;"
        ),
    ),
    (
        "fact_positions",
        (
            "SELECT last_event_type, status, entry_notional_usd_pips\n"
            "FROM fact_positions\n"
            "WHERE position_id = 'dm_pos_2'\n"
            "ORDER BY last_event_at;"
        ),
    ),
    (
        "changed_fields",
        """SELECT changed_fields('{"status": "open"}', '{"status": "closed", "result": {}}');""",
    ),
    (
        "coverage_gaps",
        (
            "SELECT started_at, ended_at, repaired_at\n"
            "FROM coverage_gaps\n"
            "WHERE ended_at IS NOT NULL\n"
            "ORDER BY started_at;"
        ),
    ),
)

_WORD = """
    SELECT coalesce(
        obj_description(to_regclass(%(name)s), 'pg_class'),
        (
            SELECT obj_description(oid, 'pg_proc') FROM pg_proc
            WHERE proname = %(name)s AND pronamespace = current_schema()::regnamespace
        )
    )
"""
_ARGUMENTS = """
    SELECT pg_get_function_arguments(oid) FROM pg_proc
    WHERE proname = %(name)s AND pronamespace = current_schema()::regnamespace
"""
_TABLE = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
_SHOWN = 7


def sql_page(url: str) -> str:
    """Return docs/sql.md; the database is filled with the little book of the examples."""
    with closing(database.connect(url)) as own, closing(database.connect(url)) as connection:
        _fill(Appender(own), connection)
        return "\n".join(_lines(connection))


def _lines(connection: psycopg.Connection) -> Iterator[str]:
    yield _HEAD.replace("{diagram}", "\n".join(_diagram(connection)))
    yield "## The views and functions\n"
    for name, query in _EXAMPLES:
        row = connection.execute(_WORD, {"name": name}).fetchone()
        if row is None or row[0] is None:
            raise LookupError(f"{name} is no view and no function with a comment")
        yield f"### {name}\n"
        yield f"{row[0]}\n"
        arguments = connection.execute(_ARGUMENTS, {"name": name}).fetchone()
        if arguments is not None:
            shown = arguments[0].replace("timestamp with time zone", "timestamptz")
            shown = shown.replace("::timestamptz", "").replace("::text", "")
            yield f"`{name}({shown})`\n"
        yield f"```sql\n{query}\n```\n"
        yield from _output(connection, query)
        yield ""


def _diagram(connection: psycopg.Connection) -> Iterator[str]:
    tables: dict[str, dict[str, str]] = {}
    names = [*(name for relation in _RELATIONS for name in (relation[0], relation[3])), *_ALONE]
    for name in names:
        tables[name] = dict(connection.execute(_TABLE, [name]).fetchall())
    for one, key, mark, other, other_key, word in _RELATIONS:
        if key not in tables[one] or other_key not in tables[other]:
            raise LookupError(f"{one}.{key} or {other}.{other_key} is no column")
        yield f'    {one} {mark} {other} : "{word}"'
    for name, columns in tables.items():
        yield f"    {name} {{"
        for column, kind in list(columns.items())[:_SHOWN]:
            short = kind.replace("timestamp with time zone", "timestamptz")
            yield f"        {short.replace('[]', '_array')} {column}"
        yield "    }"


def _output(connection: psycopg.Connection, query: str) -> Iterator[str]:
    cursor = connection.execute(query.encode())
    columns = [column.name for column in cursor.description or ()]
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    rows = cursor.fetchall()
    if not rows:
        raise LookupError(f"an example without output: {query}")
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "t" if value else "f"
        case datetime():
            return str(value).removesuffix("+00:00")
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value).replace("|", "\\|")


def _fill(appender: Appender, connection: psycopg.Connection) -> None:
    yes = _body("RAIN-LISBON", "yes", "0xa11ce", notional=2_500_000, opened=20)
    no = _body("RAIN-LISBON", "no", "0xb0b", notional=1_000_000, opened=80)
    sun = _body("SUN-PORTO", "yes", "0xa11ce", notional=600_000, opened=120)
    early = {key: yes[key] for key in ("market_ticker", "side", "wallet_address")}
    closed = early | {
        "entry": yes["entry"],
        "fees": {"total_fees_usd_pips": 12_500},
        "result": _result(closed=240, pnl=300_000, fees=12_500),
        "close_reason": "closed",
    }
    liquidated = {key: value for key, value in sun.items() if key != "current"} | {
        "fees": {"total_fees_usd_pips": 9_000},
        "result": _result(closed=1_500, pnl=-300_000, fees=9_000),
        "close_reason": "liquidated",
    }
    pending = early | {"side": "no"}
    told = (
        (1, "created", "pending", 0, 1, early),
        (1, "opening", "pending", 12, 1, early),
        (1, "opened", "open", 20, 1, yes),
        (2, "opened", "open", 80, 1, no),
        (3, "opened", "open", 120, 1, sun),
        (1, "close_requested", "closing", 230, 1, yes),
        (4, "created", "pending", 290, 1, pending),
        (1, "closed", "closed", 240, 7_200, closed),
    )
    for number, (position, kind, status, minutes, delay, body) in enumerate(told, start=1):
        at = _NOON + timedelta(minutes=minutes)
        envelope = {
            "id": f"evt_{number}",
            "type": f"position.{kind}",
            "created_at": at.isoformat(),
            "data": {"id": f"dm_pos_{position}", "status": status, **body},
        }
        raw = json.dumps(envelope).encode()
        arrived = at + timedelta(seconds=delay)
        appender.append([Received(decode(raw), arrived, Source.PARTNER)])
    night = datetime(2026, 7, 2, 13, 30, tzinfo=UTC)
    snapshot = Snapshot(
        "dm_pos_3",
        "liquidated",
        night,
        night - timedelta(seconds=60),
        json.dumps({"id": "dm_pos_3", "status": "liquidated", **liquidated}).encode(),
    )
    appender.append_snapshots([snapshot], night + timedelta(seconds=1))
    connection.execute(
        "INSERT INTO valuations (position_id, as_of, mark_price_usd_pips, unrealized_pnl_usd_pips)"
        " VALUES ('dm_pos_2', %s, 5600, 120000)",
        [night],
    )
    for started, ended in ((-30, 1_380), (1_520, 3_000)):
        connection.execute(
            "INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at)"
            " VALUES ('partner', %s, %s, %s)",
            [_NOON + timedelta(minutes=minutes) for minutes in (started, ended, ended)],
        )
    connection.execute(
        "INSERT INTO reconciliation_runs (trigger, scope, state, started_at, finished_at)"
        " VALUES ('connected', 'full', 'complete', %s, %s)",
        [night, night + timedelta(seconds=2)],
    )


def _body(market: str, side: str, wallet: str, *, notional: int, opened: int) -> Mapping[str, Any]:
    return {
        "market_ticker": market,
        "side": side,
        "wallet_address": wallet,
        "entry": {
            "notional_usd_pips": notional,
            "leverage_bps": 25_000,
            "opened_at": (_NOON + timedelta(minutes=opened)).isoformat(),
        },
        "current": {"mark_price_usd_pips": 5_000},
    }


def _result(*, closed: int, pnl: int, fees: int) -> Mapping[str, Any]:
    return {
        "closed_at": (_NOON + timedelta(minutes=closed)).isoformat(),
        "realized_pnl_usd_pips": pnl,
        "net_realized_pnl_usd_pips": pnl - fees,
    }
