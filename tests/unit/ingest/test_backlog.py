"""The backlog: one order, whether in memory or on disk; safe once it says so; bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.factories import event, moment

from positionstore.ingest.backlog import LONGEST_IN_MEMORY, Backlog
from positionstore.ingest.presence import Proof
from positionstore.ingest.spool import NoRoomError, Spool
from positionstore.ingest.spools import Spools
from positionstore.model.facts import Event, Received, Source
from positionstore.settings import Environment

MAX_BYTES = 1_000_000
PROOFS = [Proof(1, Source.PARTNER, moment(0), moment(500), None)]


@dataclass
class Desk:
    backlog: Backlog
    spool: Spool
    now: list[float]


def made(tmp_path: Path, *, at_most: int = 10, always: bool = False) -> Desk:
    spool = Spools(tmp_path, max_bytes=MAX_BYTES).own(Environment.SANDBOX)
    now = [0.0]
    backlog = Backlog(
        spool, max_bytes=MAX_BYTES, at_most=at_most, always=always, monotonic=lambda: now[0]
    )
    return Desk(backlog, spool, now)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = made(tmp_path)
    yield desk
    desk.spool.remove()


def batch(first: int, count: int, length: int = 0) -> list[Received]:
    return [
        Received(
            event(f"evt_{n}", body={"note": "x" * length} if length else None).what,
            moment(n),
            Source.PARTNER,
        )
        for n in range(first, first + count)
    ]


def take(desk: Desk, first: int, count: int, length: int = 0) -> None:
    desk.backlog.take(batch(first, count, length), proofs=PROOFS, emptied=True)


def numbers(found: list[Received]) -> list[int]:
    return [int(each.what.event_id[4:]) for each in found if isinstance(each.what, Event)]


def test_while_all_is_well_nothing_touches_the_disk(desk: Desk) -> None:
    take(desk, 0, 3)
    assert desk.backlog.settle()
    assert numbers(desk.backlog.next(0)) == [0, 1, 2]
    assert desk.backlog.unkept == 3
    desk.backlog.committed(3)
    assert (desk.backlog.pending, desk.spool.size().events) == (0, 0)


def test_what_memory_has_no_room_for_goes_to_the_disk_and_comes_in_its_turn(desk: Desk) -> None:
    for first in range(0, 30, 5):
        take(desk, first, 5)
    assert desk.backlog.unkept == 0, "what is older goes first"
    assert desk.spool.size().events == 30
    found: list[int] = []
    while len(found) < 30:
        part = desk.backlog.next(0)
        found += numbers(part)
        desk.backlog.committed(len(part))
    assert found == list(range(30))
    assert desk.spool.size().events == 0
    take(desk, 30, 1)
    assert desk.backlog.unkept == 1, "in memory again"


def test_a_failure_puts_all_on_the_disk_and_hands_it_out_again(desk: Desk) -> None:
    for first in range(0, 12, 3):
        take(desk, first, 3)
    assert numbers(desk.backlog.next(0)) == list(range(9))
    desk.backlog.committed(4)
    desk.backlog.failed()
    assert desk.backlog.unkept == 0
    assert desk.spool.size().events == 8
    take(desk, 12, 3)
    assert desk.backlog.settle()
    assert desk.backlog.unkept == 0, "at once, while the database is away"
    assert numbers(desk.backlog.next(0)) == list(range(4, 15))


def test_what_is_old_goes_to_the_disk_though_nothing_failed(desk: Desk) -> None:
    take(desk, 0, 3)
    desk.backlog.next(0)
    desk.now[0] = LONGEST_IN_MEMORY + 1
    desk.backlog.settle()
    assert desk.backlog.unkept == 0
    desk.backlog.committed(3)
    assert desk.spool.size().events == 0


def test_where_everything_is_to_be_durable_it_is_before_taking_returns(tmp_path: Path) -> None:
    desk = made(tmp_path, always=True)
    take(desk, 0, 3)
    assert desk.backlog.unkept == 0
    assert numbers(desk.backlog.next(0)) == [0, 1, 2]
    desk.backlog.committed(3)
    assert desk.spool.size().events == 0
    desk.spool.remove()


def test_near_its_bound_there_is_no_room_until_half_is_free(desk: Desk) -> None:
    desk.backlog.failed()
    first = 0
    while desk.backlog.settle():
        take(desk, first, 10, length=2_000)
        first += 10
    assert MAX_BYTES * 3 // 4 < desk.spool.bytes <= MAX_BYTES
    assert desk.backlog.unkept == 0, "the reserve has taken the rest"
    handed = 0
    while not desk.backlog.settle():
        while handed < 10:
            part = len(desk.backlog.next(0))
            assert part
            handed += part
        desk.backlog.committed(10)
        handed -= 10
    assert desk.spool.bytes <= MAX_BYTES // 2


def test_a_disk_that_takes_nothing_costs_nothing_that_was_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NoRoomError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", refuse)
        for first in range(0, 20, 5):
            take(desk, first, 5)
        assert not desk.backlog.settle()
        desk.backlog.failed()
        assert not desk.backlog.settle()
        assert desk.backlog.unkept == 20
    assert desk.backlog.settle()
    assert desk.backlog.unkept == 0
    desk.backlog.failed()
    found: list[int] = []
    while len(found) < 20:
        part = desk.backlog.next(0)
        found += numbers(part)
        desk.backlog.committed(len(part))
    assert found == list(range(20))


def test_a_session_vouches_for_nothing_that_is_not_in_the_database(desk: Desk) -> None:
    for first in range(0, 20, 5):
        take(desk, first, 5)
    desk.backlog.failed()
    _, up_to = desk.backlog.testimony()
    assert up_to is not None
    assert up_to < moment(0)
    desk.backlog.next(0)
    desk.backlog.committed(7)
    _, up_to = desk.backlog.testimony()
    assert up_to is not None
    assert moment(6) < up_to < moment(7)
    desk.backlog.committed(13)
    assert desk.backlog.testimony() == (PROOFS, None)
    desk.backlog.take(batch(20, 2), proofs=PROOFS, emptied=False)
    desk.backlog.committed(2)
    assert desk.backlog.testimony() == (PROOFS, moment(21))
