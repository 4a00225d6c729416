"""Two workers of Spark fold a lake to the rows that PostgreSQL shows."""

from pathlib import Path
from random import Random

import pytest
from support.histories import book, ids_of, in_batches
from support.lakes import Desk, digest, needs_spark, states
from support.oracle import Rules
from support.spark_cluster import cluster

from positionstore.lake.engine import started
from positionstore.lake.names import EngineName
from positionstore.store.appender import Appender
from positionstore.store.database import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), needs_spark()]


def test_two_workers_fold_a_book_to_the_same_rows(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    history = book(Random(16), 200)
    for batch in in_batches(history, 100):
        batch.append(appender)
    with cluster(2) as workers, started(EngineName.SPARK, master=workers.url) as engine:
        beside = Desk(store, tmp_path / "lake", engine)
        beside.feed(increment=300)
        folded = beside.positions()
        assert states(folded) == Rules().fold(each.fact for each in history)
        assert set(states(folded)) <= set(ids_of(history))
        assert digest(folded) == digest(beside.stored("positions"))
        proof = beside.verify()
        assert (proof.differences, proof.findings) == ([], [])
        assert workers.executors() == 2
