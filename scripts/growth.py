#!/usr/bin/env python3
"""What a store costs that grows: import, rebuild, verify, queries, disk, and the lake beside it.

    scripts/growth.py                       1 and 10 million facts, ten a position; an hour and
                                            40 GB of the temporary folder (TMPDIR)
    scripts/growth.py --facts 100000 --facts 1000000
    scripts/growth.py --spark local[1] --spark local[2]
                                            also fold by Spark: the masters to fold on
    scripts/growth.py --spark-workers 1 --spark-workers 2
                                            also on a standalone cluster of workers with a core each
    scripts/growth.py --json                for programs

CPU time is that of all processes that take part, which other work on the machine changes less than
it changes seconds. docs/performance.md and docs/lake.md have what came out.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil
import psycopg
from benchmark import big_store, querying
from benchmark.bed import Bed
from benchmark.costs import Cost, Meter
from benchmark.querying import Asked
from benchmark.report import Json, machine, say
from docs_queries import all_documented
from rich.console import Console
from rich.table import Table

from positionstore.cli.interrupts import end_on_sigterm
from positionstore.lake.names import EngineName
from positionstore.store import database
from positionstore.store.database import Store

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.spark_cluster import cluster

_SIZES: Final = """
    SELECT
        (SELECT count(*) FROM events) AS facts,
        (SELECT count(*) FROM positions) AS positions,
        (SELECT sum(octet_length(envelope::text)) FROM events)::bigint AS envelope_bytes,
        pg_table_size('events') AS log_bytes,
        pg_indexes_size('events') AS log_index_bytes,
        pg_total_relation_size('positions') AS positions_bytes
"""
_ENVELOPES: Final = """
    COPY (SELECT envelope FROM events WHERE source <> 'rest' ORDER BY seq) TO STDOUT
"""


@dataclass(frozen=True, slots=True)
class Size:
    """A store of one size.

    Attributes:
        sizes: numbers of facts and positions, and bytes.
        costs: what the work cost.
        asked: the documented queries.
    """

    sizes: dict[str, int]
    costs: list[Cost]
    asked: list[Asked]


def main() -> int:
    """Measure stores of several sizes, and say how the costs grow."""
    options = _options()
    end_on_sigterm()
    with Bed.made() as bed:
        found = [
            _measured(bed, facts, options.spark, options.spark_workers) for facts in options.facts
        ]
        report: dict[str, Json] = {"machine": machine(bed)}
    if options.json:
        report["sizes"] = [
            {
                **each.sizes,
                "costs": [cost.as_json() for cost in each.costs],
                "queries": [asked.as_json() for asked in each.asked],
            }
            for each in found
        ]
        print(json.dumps(report, indent=2))
    else:
        _print(found)
    return 0


def _measured(bed: Bed, facts: int, masters: list[str], workers: list[int]) -> Size:
    envelopes = bed.folder / "envelopes.jsonl"
    with bed.fresh_store() as store, database.connect(store.url) as connection:
        connection.autocommit = True
        names = big_store.fill(connection, facts, say=say)
        row = connection.execute(_SIZES)
        columns = [each.name for each in row.description or ()]
        sizes = dict(zip(columns, row.fetchall()[0], strict=True))
        say(f"{sizes}")
        meter = Meter(connection.info.backend_pid, sizes["facts"])
        asked = []
        for each in querying.ask(connection, all_documented(), names):
            say(f"{each.name}: {each.seconds:.3f} s")
            asked.append(each)
        costs = []
        for cost in _costs(bed, store, meter, masters, workers):
            say(f"{cost}")
            costs.append(cost)
        _write_envelopes(connection, envelopes)
    with bed.fresh_store() as store:
        bed.settle()
        cost = meter.command("import", ["import", envelopes], folder=bed.folder, url=store.url)
        envelopes.unlink()
        say(f"{cost}")
    return Size(sizes, [cost, *costs], asked)


def _costs(
    bed: Bed, store: Store, meter: Meter, masters: list[str], workers: list[int]
) -> Iterator[Cost]:
    lake = bed.folder / store.url.rpartition("/")[2].partition("?")[0] / "lake"

    def command(what: str, *arguments: object, helpers: Sequence[psutil.Process] = ()) -> Cost:
        return meter.command(what, arguments, folder=bed.folder, url=store.url, helpers=helpers)

    def folds(
        engine: EngineName, named: str, master: str = "", helpers: Sequence[psutil.Process] = ()
    ) -> Iterator[Cost]:
        how = ["--engine", engine, *(["--spark-master", master] if master else [])]
        out = ["--out", "p.parquet"]
        yield command(
            f"lake positions, {named}", "lake", "positions", lake, *out, *how, helpers=helpers
        )
        yield command(f"verify, {named}", "verify", "--lake", lake, *how, helpers=helpers)

    for what in ("rebuild", "verify"):
        bed.settle()
        yield command(what, what)
    yield command("lake feed", "lake", "feed", lake)
    yield from folds(EngineName.DUCKDB, "duckdb")
    for master in masters:
        yield from folds(EngineName.SPARK, f"spark {master}", master)
    for count in workers:
        with cluster(count) as started:
            processes = [psutil.Process(each) for each in started.processes]
            yield from folds(EngineName.SPARK, f"spark, {count} workers", started.url, processes)


def _write_envelopes(connection: psycopg.Connection, path: Path) -> None:
    """Write the events' envelopes, which have no character that COPY writes otherwise."""
    with path.open("wb") as file, connection.cursor().copy(_ENVELOPES) as copy:
        file.writelines(copy)


def _print(found: list[Size]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    for size in found:
        told = ", ".join(f"{name} {value:,}" for name, value in size.sizes.items())
        console.print(told, highlight=False)
    heads = [f"{size.sizes['facts']:,}" for size in found]
    work = Table("work", *(f"{each}: s, CPU µs a fact, MiB" for each in heads))
    for rows in zip(*(size.costs for size in found), strict=True):
        cells = [f"{each.seconds:,.1f}, {each.cpu_micros:.1f}, {each.peak_mib}" for each in rows]
        work.add_row(rows[0].what, *cells)
    console.print(work)
    queries = Table("query", *(f"{each}: ms" for each in heads))
    for answers in zip(*(size.asked for size in found), strict=True):
        queries.add_row(answers[0].name, *(f"{each.seconds * 1e3:,.1f}" for each in answers))
    console.print(queries)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--facts", type=int, action="append", help="a size; by default 1 and 10 million"
    )
    parser.add_argument(
        "--spark", metavar="MASTER", action="append", default=[], help="also fold by Spark there"
    )
    parser.add_argument(
        "--spark-workers",
        metavar="NUMBER",
        type=int,
        action="append",
        default=[],
        help="also fold by Spark on a standalone cluster of that many workers",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    if (options.spark or options.spark_workers) and find_spec("pyspark") is None:
        parser.error("pyspark is not installed: pip install 'positionstore[spark]'")
    options.facts = options.facts or [1_000_000, 10_000_000]
    return options


if __name__ == "__main__":
    sys.exit(main())
