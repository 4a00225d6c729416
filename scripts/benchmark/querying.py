"""The documented queries on a big store: how long each takes, and what it reads of the log."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import psycopg
from docs_queries import Query

from benchmark.big_store import indexes

# What this connection has counted and not told yet, inside functions too; of a table the scans from
# end to end, of an index those over it.
_SCANS: Final = "SELECT pg_stat_get_xact_numscans(to_regclass(%s))"
_PATIENCE: Final = "10min"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query cost.

    Attributes:
        name: the query.
        first_seconds: asked for the first time.
        seconds: asked once more.
        rows: how many it gave.
        log_scans: how often it read ``events`` from end to end.
        as_meant: whether it reads the whole log only where it is meant to.
        indexes: the indexes of ``events`` and ``positions`` that it used.
    """

    name: str
    first_seconds: float
    seconds: float
    rows: int
    log_scans: int
    as_meant: bool
    indexes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for the report."""
        return asdict(self)


def ask(
    connection: psycopg.Connection, queries: Sequence[Query], names: Mapping[str, str]
) -> Iterator[Asked]:
    """Ask each query twice.

    Args:
        connection: in autocommit mode.
        queries: which.
        names: the values of their placeholders.
    """
    counted = ["events", *(index.name for index in indexes(connection))]
    connection.execute("SELECT set_config('statement_timeout', %s, false)", [_PATIENCE])
    for query in queries:
        text = query.filled(names).encode()
        with connection.transaction(force_rollback=True):
            before = _scans(connection, counted)
            began = time.perf_counter()
            rows = connection.execute(text).fetchall()
            first = time.perf_counter() - began
            after = _scans(connection, counted)
        began = time.perf_counter()
        connection.execute(text).fetchall()
        seconds = time.perf_counter() - began
        log_scans = after["events"] - before["events"]
        yield Asked(
            name=query.name,
            first_seconds=first,
            seconds=seconds,
            rows=len(rows),
            log_scans=log_scans,
            as_meant=query.reads_whole_log or not log_scans,
            indexes=tuple(name for name in counted[1:] if after[name] > before[name]),
        )


def _scans(connection: psycopg.Connection, names: Sequence[str]) -> Mapping[str, int]:
    return {name: connection.execute(_SCANS, [name]).fetchall()[0][0] for name in names}
