#!/usr/bin/env python3
"""What each documented query costs on a store of many facts.

    scripts/scale.py                      ten million facts: a quarter of an hour, 20 GB of the
                                          temporary folder (TMPDIR)
    scripts/scale.py --facts 1000000      a tenth of that
    scripts/scale.py --json               for programs

Exit 1 where a query reads the whole log that is not meant to. docs/sql-performance.md has what
came out.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from benchmark import big_store, querying
from benchmark.bed import Bed
from benchmark.querying import Asked
from benchmark.report import Json, machine, say
from docs_queries import all_documented
from rich.console import Console
from rich.table import Table

from positionstore.cli.interrupts import end_on_sigterm
from positionstore.store import database

_SIZES = """
    SELECT count(*), pg_table_size('events'), pg_indexes_size('events'),
        pg_total_relation_size('positions'), (SELECT count(*) FROM positions)
    FROM events
"""
_GB = 1e9


def main() -> int:
    """Fill a store, ask it everything, print what it cost."""
    options = _options()
    end_on_sigterm()
    with Bed.made() as bed, bed.fresh_store() as store, database.connect(store.url) as connection:
        connection.autocommit = True
        began = time.monotonic()
        names = big_store.fill(connection, options.facts, say=say)
        seconds = time.monotonic() - began
        asked = []
        for each in querying.ask(connection, all_documented(), names):
            say(f"{each.name}: {each.first_seconds:.3f} s")
            asked.append(each)
        facts, log, log_indexes, positions_size, positions = connection.execute(_SIZES).fetchall()[
            0
        ]
        report: dict[str, Json] = {
            "machine": machine(bed),
            "facts": facts,
            "positions": positions,
            "events_bytes": log,
            "events_indexes_bytes": log_indexes,
            "positions_bytes": positions_size,
            "filled_in_seconds": round(seconds),
        }
    if options.json:
        print(json.dumps({**report, "queries": [each.as_json() for each in asked]}, indent=2))
    else:
        _print(report, asked)
    return 0 if all(each.as_meant for each in asked) else 1


def _print(report: dict[str, Json], asked: Sequence[Asked]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    machine_ = report["machine"]
    console.print(
        f"{report['facts']:,} facts of {report['positions']:,} positions, made in "
        f"{report['filled_in_seconds']} s; events {report['events_bytes'] / _GB:.1f} GB and its "
        f"indexes {report['events_indexes_bytes'] / _GB:.1f} GB, positions "
        f"{report['positions_bytes'] / _GB:.1f} GB; {machine_['cores']} cores, load "
        f"{machine_['load_average'][0]} at the end, PostgreSQL "
        f"{machine_['postgresql']['server_version']}, shared_buffers "
        f"{machine_['postgresql']['shared_buffers']}",
        highlight=False,
    )
    table = Table("query", "first, ms", "again, ms", "rows", "reads of the log", "indexes")
    for each in asked:
        reads = "all of it" if each.log_scans else "by index"
        if not any(name.startswith("events") for name in each.indexes) and not each.log_scans:
            reads = ""
        table.add_row(
            each.name,
            f"{each.first_seconds * 1000:,.1f}",
            f"{each.seconds * 1000:,.1f}",
            f"{each.rows}",
            reads + ("" if each.as_meant else ", NOT AS MEANT"),
            ", ".join(each.indexes),
        )
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--facts", type=int, default=10_000_000, help="how many; ten a position")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
