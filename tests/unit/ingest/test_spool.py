"""A spool: what is in it is there, in order, whole; what is wrong with it is told apart."""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import structlog
from support.factories import event, rejected

from positionstore.errors import ConfigurationError
from positionstore.ingest import spool as module
from positionstore.ingest.spool import (
    FILE,
    ClosedSession,
    DamagedSpoolError,
    NoRoomError,
    Spool,
    size_in,
)
from positionstore.ingest.spools import Spools, SpoolState
from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.settings import Environment

SANDBOX = Environment.SANDBOX
PLENTY = 100_000_000


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    return Spools(tmp_path, max_bytes=PLENTY)


@pytest.fixture
def spool(spools: Spools) -> Iterator[Spool]:
    found = spools.own(SANDBOX)
    yield found
    found.remove()


def batch(first: int, count: int = 3) -> list[Received]:
    return [event(f"evt_{n}", at=n) for n in range(first, first + count)]


def content(spool: Spool) -> list[Received]:
    found: list[Received] = []
    first, part = spool.read(0, 2)
    while part:
        found += part
        first, part = spool.read(first + len(part), 2)
    return found


def test_it_gives_back_what_it_was_given_in_its_order(spool: Spool) -> None:
    odd = Received(
        Rejected(b"\xff\x00", Reason.NOT_UTF8, "a \ud800 in it"),
        rejected().received_at,
        Source.CUSTOMER,
    )
    spool.append(10, batch(0))
    spool.append(13, [rejected(b"{"), odd])
    spool.append(7, batch(100))
    *good, last = content(spool)
    assert good == [*batch(100), *batch(0), rejected(b"{")]
    assert isinstance(last.what, Rejected)
    assert (last.what.raw, last.what.reason, last.source) == (
        b"\xff\x00",
        Reason.NOT_UTF8,
        Source.CUSTOMER,
    )
    assert spool.size().events == 8
    assert spool.size().oldest == batch(100)[0].received_at


def test_what_is_forgotten_makes_room(tmp_path: Path) -> None:
    spool = Spools(tmp_path, max_bytes=1_000_000).own(SANDBOX)
    large = [event(f"evt_{n}", body={"note": "x" * 10_000}) for n in range(10)]
    number = 1
    while spool.bytes < 800_000:
        spool.append(number, large)
        number += len(large)
    with pytest.raises(NoRoomError, match="bound"):
        spool.append(number, large * 3)
    assert 500_000 < spool.bytes <= 1_000_000
    assert spool.size().events == number - 1, "nothing of what was refused"
    spool.forget(number - 10)
    assert spool.bytes < 300_000
    spool.append(number, large)
    assert spool.size().events == 20
    assert (spool.folder / FILE).stat().st_size < 1_100_000
    spool.remove()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_disk_that_takes_no_more_is_no_room(spool: Spool) -> None:
    spool.append(1, batch(0))
    (pages,) = spool._connection.execute("PRAGMA page_count").fetchone()
    spool._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(NoRoomError, match="full"):
        spool.append(4, [event("evt_9", body={"note": "x" * 100_000})])
    assert content(spool) == batch(0)


def test_a_spool_is_taken_over_when_its_process_is_gone(spools: Spools) -> None:
    mine = spools.own(SANDBOX)
    mine.append(1, batch(0))
    assert list(spools.adopt_orphans(SANDBOX)) == []
    assert [each.state for each in spools.listed()] == [SpoolState.IN_USE]
    mine.close()
    assert [each.state for each in spools.listed()] == [SpoolState.LEFT_BEHIND]
    assert list(spools.adopt_orphans(Environment.PRODUCTION)) == []
    (taken,) = spools.adopt_orphans(SANDBOX)
    assert list(spools.adopt_orphans(SANDBOX)) == [], "it is taken"
    assert content(taken) == batch(0)
    totals = spools.totals()
    assert (totals.spools, totals.events, totals.damaged) == (1, 3, 0)
    taken.remove()
    assert spools.listed() == []


def test_spools_are_taken_over_in_the_order_of_their_making(spools: Spools) -> None:
    made = [spools.own(SANDBOX) for _ in range(5)]
    for each in made:
        each.close()
    taken = list(spools.adopt_orphans(SANDBOX))
    assert [each.folder for each in taken] == [each.folder for each in made]
    for each in taken:
        each.remove()


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, None])
def test_a_file_that_is_no_spool_is_set_aside(spools: Spools, content: bytes | None) -> None:
    good, bad = spools.own(SANDBOX), spools.own(SANDBOX)
    good.append(1, batch(0))
    for each in (good, bad):
        each.close()
    for path in bad.folder.glob(f"{FILE}*"):
        path.unlink()
    if content is not None:
        (bad.folder / FILE).write_bytes(content)
    (taken,) = spools.adopt_orphans(SANDBOX)
    assert taken.folder == good.folder
    taken.close()
    assert sorted(each.state for each in spools.listed()) == ["damaged", "left_behind"]
    assert (bad.folder.with_name(f"{bad.folder.name}.damaged")).is_dir()


def test_a_page_that_went_bad_is_noticed_where_it_is_read(spools: Spools) -> None:
    spool = spools.own(SANDBOX)
    spool.append(1, [event(f"evt_{n}", body={"note": "x" * 3000}) for n in range(100)])
    spool.close()
    path = spool.folder / FILE
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(8192))
    (taken,) = spools.adopt_orphans(SANDBOX)
    with pytest.raises(DamagedSpoolError):
        content(taken)
    taken.set_aside()


def test_a_later_format_is_left_as_it_is(spools: Spools) -> None:
    spool = spools.own(SANDBOX)
    spool._connection.execute("UPDATE about SET format = 2")
    spool.close()
    with sqlite3.connect(spool.folder / FILE):
        assert list(spools.adopt_orphans(SANDBOX)) == []


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="POSITIONSTORE_DATA_DIR"):
        Spools(tmp_path / "file", max_bytes=PLENTY).own(SANDBOX)


def test_a_spool_of_the_other_environment_is_left_alone_and_said_once(spools: Spools) -> None:
    left = spools.own(Environment.PRODUCTION)
    left.append(1, batch(0))
    left.close()
    with structlog.testing.capture_logs() as lines:
        assert list(spools.adopt_orphans(SANDBOX)) == []
        assert list(spools.adopt_orphans(SANDBOX)) == []
    assert lines == [
        {
            "event": "spool_of_other_environment",
            "log_level": "warning",
            "spool": left.folder.name,
            "environment": Environment.PRODUCTION,
            "events": 3,
        }
    ]
    (spool,) = spools.adopt_orphans(Environment.PRODUCTION)
    assert content(spool) == batch(0)
    spool.remove()


def test_how_connections_ended_is_kept_with_what_came_over_them(spools: Spools) -> None:
    began = datetime(2026, 7, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    ended = [
        ClosedSession(7, Source.PARTNER, began, began + timedelta(hours=1), "connection lost"),
        ClosedSession(
            None, Source.CUSTOMER, began + timedelta(hours=2), began + timedelta(3), "stopped"
        ),
    ]
    left = spools.own(SANDBOX)
    left.save_closed_sessions(ended[:1])
    left.save_closed_sessions(ended[::-1])
    left.close()
    (spool,) = spools.adopt_orphans(SANDBOX)
    assert spool.closed_sessions() == ended
    spool.remove()


def test_its_size_can_be_read_while_it_is_drained(spool: Spool) -> None:
    class Drained(sqlite3.Connection):
        """One of whose file nothing is left after each of its statements."""

        def execute(self, statement: str, parameters: Sequence[int] = ()) -> sqlite3.Cursor:  # type: ignore[override] # narrower
            answer = super().execute(statement, parameters).fetchall()
            spool.forget(10)
            found: sqlite3.Cursor = Mock(
                spec=sqlite3.Cursor, fetchone=lambda: next(iter(answer), None)
            )
            return found

    spool.append(1, batch(0))
    with closing(sqlite3.connect(spool.folder / FILE, factory=Drained)) as connection:
        size = size_in(connection)
    assert (size.events, size.oldest) == (3, batch(0)[0].received_at)
    assert spool.size().events == 0


def test_nobody_else_may_look_into_it(spool: Spool) -> None:
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700


def test_every_append_is_synced(spool: Spool) -> None:
    def pragma(name: str) -> object:
        return spool._connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)
    spool.append(1, batch(0))
    spool.forget(2)
    assert pragma("synchronous") == 2
    assert module.FILE in {path.name for path in spool.folder.iterdir()}
