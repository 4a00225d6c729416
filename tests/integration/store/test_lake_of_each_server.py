"""A lake beside a store on each kind of server."""

from datetime import timedelta
from pathlib import Path

import psycopg
from support.factories import event, moment, snapshot
from support.lakes import desk, digest

from positionstore.lake.names import EngineName
from positionstore.model.facts import Retraction
from positionstore.store import retractions as retracting
from positionstore.store.appender import Appender
from positionstore.store.database import Store


def test_a_lake_is_fed_and_folded_as_the_store_is(
    any_store_url: str, connection: psycopg.Connection, appender: Appender, tmp_path: Path
) -> None:
    appender.append([event("e1", at=1), event("e2", status="closed", at=2)])
    appender.append(
        [event("o1", position="dm_pos_2", at=3), event("o2", position="dm_pos_2", at=4)]
    )
    appender.append_snapshots([snapshot(status="open", as_of=500)], moment(501))
    wrong = Retraction("dm_pos_2", "o2", "a wrong clock", moment(600))
    retracting.apply(connection, [wrong], moment(600))
    store = Store(any_store_url, embedded=False)
    with desk(store, tmp_path / "lake", EngineName.DUCKDB) as beside:
        assert beside.feed(increment=3).facts == 6
        appender.append([event("e3", at=510), event("n1", position="dm_pos_3", at=5)])
        assert beside.verify().changed_since == 2
        assert beside.feed().facts == 2
        proof = beside.verify()
        assert (proof.differences, proof.findings, proof.changed_since) == ([], [], 0)
        assert (proof.facts, proof.compared) == (8, 3)
        assert digest(beside.positions()) == digest(beside.stored("positions"))
        then = moment(501) + timedelta(microseconds=1)
        stored = beside.stored(f"positions_as_of('infinity', timestamptz '{then.isoformat()}')")
        assert digest(beside.positions(known_at=then)) == digest(stored)
        assert [row["event_id"] for row in beside.timeline("dm_pos_2")] == ["o2", "o1"]
