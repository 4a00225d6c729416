"""An event that the database still refuses costs a retry nothing else."""

from datetime import UTC, datetime

import psycopg
import pytest
from support.factories import envelope

from positionstore.importer.retry_quarantine import Retried, retry_quarantine
from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.store.appender import Appender
from positionstore.store.database import Store


@pytest.mark.parametrize("still", [True, False])
def test_what_is_refused_once_more_stays(store_url: str, still: bool) -> None:
    now = datetime.now(UTC)
    lines = [envelope(f"evt_{n}", at=n) for n in range(3)]
    with psycopg.connect(store_url, autocommit=True) as desk:
        if still:
            desk.execute("ALTER TABLE events ADD CHECK (event_id <> 'evt_1')")
        with psycopg.connect(store_url) as writer:
            Appender(writer).append(
                [
                    Received(Rejected(line, Reason.REFUSED_BY_DATABASE, "no"), now, Source.CUSTOMER)
                    for line in lines
                ]
            )

        done = retry_quarantine(Store(store_url, embedded=False).connect)

        waiting = desk.execute("SELECT raw FROM quarantine WHERE released_at IS NULL").fetchall()
        logged = desk.execute("SELECT DISTINCT source FROM events").fetchall()
    assert done == Retried(tried=3, released=2 if still else 3)
    assert waiting == ([(lines[1],)] if still else [])
    assert logged == [("customer",)]
