"""Positions that ended long ago, for tests of archives."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from positionstore.export.archive import Done, archive
from positionstore.model.facts import Received, Retraction
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from support.factories import NOON, event, moment, snapshot

DAY = 86_400
CUT = NOON + timedelta(days=1)
"""All facts of :func:`ended` are older."""
LATER = NOON + timedelta(days=400)
"""When archives are made."""
FACTS = """
    SELECT seq, event_id, position_id, type, status, created_at, received_at, source,
        supersedes_before, envelope::text, retracts
    FROM events WHERE position_id <> '' ORDER BY seq
"""
ROWS = "SELECT to_jsonb(p) FROM positions p ORDER BY position_id"


def life(position: str, *, at: float = 0) -> list[Received]:
    """Four events of a position that was opened and closed."""
    steps = (
        ("created", "pending"),
        ("opened", "open"),
        ("close_requested", "closing"),
        ("closed", "closed"),
    )
    return [
        event(
            f"evt_{position}_{place}",
            position=position,
            kind=f"position.{kind}",
            status=status,
            at=at + place,
        )
        for place, (kind, status) in enumerate(steps)
    ]


def fill(appender: Appender, ended: int = 3) -> None:
    """Fill a store: a live position, some that ended, two snapshots and a retraction."""
    for number in range(ended):
        appender.append(life(f"dm_pos_{number}", at=10 * number))
    appender.append([event("evt_live", position="dm_pos_live", at=5)])
    appender.append([event("evt_wrong", position="dm_pos_0", status="liquidated", at=50)])
    appender.append_retractions(
        [Retraction("dm_pos_0", "evt_wrong", "It was not.", moment(60))], moment(100)
    )
    appender.append_snapshots(
        [
            snapshot(position="dm_pos_1", status="closed", as_of=at, settle_window=1)
            for at in (30, 40)
        ],
        moment(100),
    )


def archived(
    url: str,
    folder: Path,
    *,
    now: datetime = LATER,
    limit: int | None = None,
    positions_of_a_file: int = 1_000,
) -> Done:
    """Move what is old enough."""
    return archive(
        Store(url, embedded=False),
        folder,
        before=CUT,
        now=now,
        limit=limit,
        positions_of_a_file=positions_of_a_file,
    )


def files(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.parquet"))]


def facts(connection: psycopg.Connection) -> Sequence[tuple[object, ...]]:
    return connection.execute(FACTS).fetchall()


def rows(connection: psycopg.Connection) -> Sequence[tuple[object, ...]]:
    return connection.execute(ROWS).fetchall()


def now() -> datetime:
    return datetime.now(UTC)
