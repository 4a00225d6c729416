import threading
from datetime import UTC, datetime

import pytest
from support.waiting import DEADLINE

from positionstore.ingest import inbox as inbox_module
from positionstore.ingest.inbox import Inbox
from positionstore.model.facts import Reason, Rejected

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_all_that_is_there_is_taken_at_once_in_order() -> None:
    inbox = Inbox()
    for text in "abc":
        inbox.put(text, NOW)
    taken = inbox.take(10, DEADLINE)
    assert [arrival.packet for arrival in taken.arrivals] == ["a", "b", "c"]
    assert taken.emptied
    assert not taken.closed


def test_no_more_than_the_limit_is_taken() -> None:
    inbox = Inbox()
    for text in "abc":
        inbox.put(text, NOW)
    first = inbox.take(2, DEADLINE)
    assert len(first.arrivals) == 2
    assert not first.emptied
    assert len(inbox) == 1
    assert inbox.take(2, DEADLINE).emptied


def test_a_batch_of_huge_events_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MAX_BATCH_LENGTH", 10)
    inbox = Inbox()
    for _ in range(5):
        inbox.put("123456", NOW)
    inbox.put(Rejected(b"1234567890", Reason.NOT_JSON, ""), NOW)
    assert [len(inbox.take(100, DEADLINE).arrivals) for _ in range(3)] == [2, 2, 2]


def test_an_empty_inbox_is_left_when_the_time_is_up() -> None:
    taken = Inbox().take(1, 0.001)
    assert taken.arrivals == []
    assert taken.emptied


def test_a_waiting_taker_is_told_of_an_arrival() -> None:
    inbox = Inbox()
    taken: list[int] = []
    taker = threading.Thread(target=lambda: taken.append(len(inbox.take(10, DEADLINE).arrivals)))
    taker.start()
    inbox.put("a", NOW)
    taker.join(DEADLINE)
    assert taken == [1]


def test_a_waiting_taker_can_be_woken() -> None:
    inbox = Inbox()
    inbox.wake()
    taken = inbox.take(10, DEADLINE)
    assert taken.woken
    assert not inbox.take(10, 0.001).woken


def test_a_closed_inbox_is_closed_when_it_is_empty() -> None:
    inbox = Inbox()
    inbox.put("a", NOW)
    inbox.put("b", NOW)
    inbox.close()
    assert not inbox.take(1, DEADLINE).closed
    assert inbox.take(1, DEADLINE).closed
    assert inbox.take(1, DEADLINE).closed


def test_nothing_is_lost_or_reordered_between_two_threads() -> None:
    inbox, count = Inbox(), 50_000
    got: list[str | Rejected] = []

    def take_all() -> None:
        while True:
            taken = inbox.take(100, DEADLINE)
            got.extend(arrival.packet for arrival in taken.arrivals)
            if taken.closed:
                return

    taker = threading.Thread(target=take_all)
    taker.start()
    for number in range(count):
        inbox.put(str(number), NOW)
    inbox.close()
    taker.join(DEADLINE)
    assert got == [str(number) for number in range(count)]
