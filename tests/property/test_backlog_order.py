"""Whatever befalls the database and the disk: the backlog hands out all, in order, each once."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import event

from positionstore.ingest.backlog import Backlog
from positionstore.ingest.spool import NoRoomError, Spool
from positionstore.ingest.spools import Spools
from positionstore.model.facts import Event, Received
from positionstore.settings import Environment

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 12)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("commit"), st.integers(1, 20)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("settle"), st.integers(0, 20)),
        st.tuples(st.just("disk"), st.integers(0, 1)),
    ),
    max_size=40,
)


def number_of(received: Received) -> int:
    assert isinstance(received.what, Event)
    return int(received.what.event_id[4:])


@given(steps=STEPS, always=st.booleans())
def test_all_in_order_each_once(  # noqa: C901 - a history reads better in one piece
    steps: list[tuple[str, int]], *, always: bool
) -> None:
    append, works = Spool.append, [True]

    def append_or_refuse(spool: Spool, first: int, batch: list[Received]) -> None:
        if not works[0]:
            raise NoRoomError("full")
        append(spool, first, batch)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spool, "append", append_or_refuse)
        spool = Spools(Path(folder), max_bytes=10**9).own(Environment.SANDBOX)
        now = [0.0]
        backlog = Backlog(
            spool, max_bytes=10**9, at_most=15, always=always, monotonic=lambda: now[0]
        )
        taken, committed = 0, 0
        handed: list[int] = []

        def hand_out() -> None:
            found = [number_of(each) for each in backlog.next(0)]
            start = committed + len(handed)
            assert found == list(range(start, start + len(found)))
            handed.extend(found)

        for what, count in steps:
            if what == "take":
                batch = [event(f"evt_{n}") for n in range(taken, taken + count)]
                taken += count
                backlog.take(batch, proofs=[], emptied=True)
            elif what == "next":
                hand_out()
            elif what == "commit" and handed:
                done = min(count, len(handed))
                committed += done
                del handed[:done]
                backlog.committed(done)
            elif what == "fail":
                handed.clear()
                backlog.failed()
            elif what == "settle":
                now[0] += count
                has_room = backlog.settle()
                assert not (always and works[0] and has_room and backlog.unkept)
            elif what == "disk":
                works[0] = bool(count)
            assert backlog.pending == taken - committed
            # A crash would cost the newest at most, and no more than fits into memory.
            first, kept = spool.read(committed + 1, taken + 1)
            assert not kept or first == committed + 1
            assert backlog.unkept == taken - committed - len(kept)
            if works[0] and what in {"take", "settle"}:
                assert backlog.unkept <= 15
        works[0] = True
        backlog.settle()
        while committed < taken:
            hand_out()
            assert handed
            backlog.committed(len(handed))
            committed += len(handed)
            handed.clear()
        assert (backlog.pending, spool.size().events) == (0, 0)
        spool.remove()
