"""What each index costs the ingester: the same import with all of them, and without one.

In CPU time of the server, one step of an import after the other, so that other work on the machine
makes little difference. Each round takes its turns; the best of all rounds counts on both sides.
"""

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Final

import psycopg

from benchmark.bed import Bed
from benchmark.big_store import Index, indexes
from benchmark.profiling import cpu_costs
from benchmark.report import say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.store import database

READ_BY_THE_IMPORT: Final = "events_seq"
"""The import finds what it has appended by this one: without it, it would read the log from end to
end for each position. So it is not left out, but made twice."""

_SIZE: Final = "SELECT pg_relation_size(to_regclass(%s)), (SELECT count(*) FROM events)"


@dataclass(frozen=True, slots=True)
class IndexCost:
    """An index, and what the import of an event costs with it over without.

    Attributes:
        name: the index.
        ratio: the one over the other.
        with_it: the server's CPU time an event with it, in microseconds.
        without: the same without it.
        bytes_each: its size after the import, for each event.
    """

    name: str
    ratio: float
    with_it: float
    without: float
    bytes_each: float

    def as_json(self) -> dict[str, str | float]:
        """Return it for the report."""
        return asdict(self)


def measure(bed: Bed, workload: Workload, scale: Scale) -> list[IndexCost]:
    """Import without each index in turn."""
    with bed.fresh_store() as store, closing(database.connect(store.url)) as connection:
        varied = [index for index in indexes(connection) if not index.is_key]
    spent: dict[str, list[float]] = {}
    sizes: dict[str, float] = {}
    for number in range(1, scale.rounds + 1):
        for index in (None, *varied):
            seconds = _import(bed, workload, scale, index, sizes)
            spent.setdefault(index.name if index else "", []).append(seconds)
        say(f"Indexes: round {number} of {scale.rounds}")
    costs = []
    for index in varied:
        with_it, without = min(spent[""]), min(spent[index.name])
        if index.name == READ_BY_THE_IMPORT:
            with_it, without = without, with_it
        costs.append(IndexCost(index.name, with_it / without, with_it, without, sizes[index.name]))
    return costs


def _import(
    bed: Bed, workload: Workload, scale: Scale, varied: Index | None, sizes: dict[str, float]
) -> float:
    """Import; return the server's CPU time an event, in microseconds."""
    with bed.fresh_store() as store:
        with psycopg.connect(store.url, autocommit=True) as connection:
            if varied is not None and varied.name == READ_BY_THE_IMPORT:
                connection.execute(varied.create.replace(varied.name, "twin", 1).encode())
            elif varied is not None:
                connection.execute(varied.drop.encode())
        bed.settle()
        spent = cpu_costs(store, workload, lines=scale.indexed_lines)
        if varied is None:
            with psycopg.connect(store.url, autocommit=True) as connection:
                for index in indexes(connection):
                    size, events = connection.execute(_SIZE, [index.name]).fetchall()[0]
                    sizes[index.name] = size / events
    return sum(cost.server for cost in spent)
