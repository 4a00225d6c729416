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

_SIZE: Final = "SELECT pg_relation_size(to_regclass(%s)), (SELECT count(*) FROM events)"


@dataclass(frozen=True, slots=True)
class IndexCost:
    """An index, and what the import of an event costs with it over without.

    Attributes:
        name: the index.
        ratio: with all indexes over without this one; below 1 where the import itself needs it.
        with_it: the server's CPU time an event with all indexes, in microseconds.
        without: the same without this one.
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
        droppable = [index for index in indexes(connection) if not index.is_key]
    spent: dict[str, list[float]] = {}
    sizes: dict[str, float] = {}
    for number in range(1, scale.rounds + 1):
        for left_out in (None, *droppable):
            seconds = _import(bed, workload, scale, left_out, sizes)
            spent.setdefault(left_out.name if left_out else "", []).append(seconds)
        say(f"Indexes: round {number} of {scale.rounds}")
    all_of_them = min(spent[""])
    return [
        IndexCost(
            name=index.name,
            ratio=all_of_them / min(spent[index.name]),
            with_it=all_of_them,
            without=min(spent[index.name]),
            bytes_each=sizes[index.name],
        )
        for index in droppable
    ]


def _import(
    bed: Bed, workload: Workload, scale: Scale, left_out: Index | None, sizes: dict[str, float]
) -> float:
    """Import; return the server's CPU time an event, in microseconds."""
    with bed.fresh_store() as store:
        with psycopg.connect(store.url, autocommit=True) as connection:
            if left_out is not None:
                connection.execute(left_out.drop.encode())
        bed.settle()
        spent = cpu_costs(store, workload, lines=scale.indexed_lines)
        with psycopg.connect(store.url, autocommit=True) as connection:
            if left_out is None:
                for index in indexes(connection):
                    size, events = connection.execute(_SIZE, [index.name]).fetchall()[0]
                    sizes[index.name] = size / events
    return sum(cost.server for cost in spent)
