"""What the ingester counts."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.ingest import meter as module
from positionstore.ingest.meter import Histogram, Meter
from positionstore.model.facts import Event, Reason, Received, Rejected, Source
from positionstore.store.appender import Appended

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def received(number: int, *, position: int = 1, ago: float = 0.0, at: datetime = NOW) -> Received:
    """An event that was created some seconds before it was received."""
    created_at = at - timedelta(seconds=ago)
    event = Event(f"evt_{number}", "t", created_at, f"dm_pos_{position}", "open", b"{}")
    return Received(event, at, Source.PARTNER)


def rejected() -> Received:
    return Received(Rejected(b"?", Reason.NOT_JSON, "No."), NOW, Source.PARTNER)


def counts(histogram: Histogram) -> dict[float, int]:
    """How many values each upper bound was the first to cover; infinity for those beyond."""
    found, _ = histogram.read()
    bounds = [*histogram.bounds, float("inf")]
    return {bound: count for bound, count in zip(bounds, found, strict=True) if count}


def test_a_value_is_counted_where_the_first_bound_covers_it() -> None:
    histogram = Histogram((1.0, 10.0))
    for value in (0.0, 1.0, 1.5, 10.0, 11.0):
        histogram.observe(value)
    histogram.observe(2.0, times=3)

    assert counts(histogram) == {1.0: 2, 10.0: 5, float("inf"): 1}
    assert histogram.read()[1] == 29.5


def test_what_arrives_is_counted_whatever_it_is() -> None:
    meter = Meter()
    meter.count_received([received(1, ago=0.2), rejected()])
    meter.count_received([rejected()])

    assert (meter.received, meter.last_event_at) == (3, NOW)
    assert counts(meter.event_delay) == {0.25: 1}


def test_an_event_is_out_of_order_where_a_later_one_of_its_position_came_first() -> None:
    meter = Meter()
    meter.count_received(
        [
            received(1, ago=5),
            received(2, ago=9),  # earlier than the one before it
            received(3, ago=5),  # as early as the newest
            received(4, position=2, ago=60),  # of another position
        ]
    )
    meter.count_received([received(5, ago=6)])

    assert meter.out_of_order == 2


def test_of_many_positions_only_the_newest_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POSITIONS", 10)
    meter = Meter()
    for number in range(100):
        meter.count_received([received(number, position=number)])
    meter.count_received([received(200, position=99, ago=1), received(201, position=0, ago=1)])

    assert meter.out_of_order == 1
    assert len(meter._newest) + len(meter._older) <= 22


@pytest.mark.parametrize(("ago", "bound"), [(-3600.0, 0.01), (20 * 365 * 86_400.0, float("inf"))])
def test_a_clock_that_is_wrong_does_not_spoil_the_sum(ago: float, bound: float) -> None:
    meter = Meter()
    meter.count_received([received(1, ago=ago)])

    assert counts(meter.event_delay) == {bound: 1}
    assert 0 <= meter.event_delay.read()[1] <= 86_400


def test_of_a_large_batch_a_sample_is_timed_that_stands_for_all() -> None:
    meter = Meter()
    meter.count_received([received(n, position=n, ago=0.02) for n in range(5003)])

    assert counts(meter.event_delay) == {0.025: 5003}


def test_the_way_into_the_database_is_timed_from_the_reception() -> None:
    meter = Meter(clock=lambda: NOW + timedelta(seconds=4))
    meter.take([received(1), received(2)])
    meter.take([received(n, at=NOW + timedelta(seconds=3.98)) for n in range(3, 103)])
    meter.count_committed(Appended(received=52, appended=50, duplicates=1, quarantined=1))

    assert counts(meter.commit_delay) == {5.0: 2, 0.025: 50}
    meter.count_committed(Appended(received=50, appended=50, seconds=0.3))
    assert counts(meter.commit_delay) == {5.0: 2, 0.025: 100}
    assert (meter.appended, meter.duplicates, meter.quarantined) == (100, 1, 1)
    assert counts(meter.commit_size) == {100.0: 2}
    assert counts(meter.commit_duration) == {0.005: 1, 0.5: 1}


def test_what_is_taken_twice_is_timed_once() -> None:
    meter = Meter(clock=lambda: NOW)
    meter.take([received(1), received(2)])
    meter.forget()
    meter.take([received(1), received(2)])
    meter.count_committed(Appended(received=2, appended=2))
    meter.count_committed(Appended(received=1, appended=1))  # of an input it was not told of

    assert sum(counts(meter.commit_delay).values()) == 2


def test_it_says_how_the_last_attempt_on_the_database_ended() -> None:
    meter = Meter()
    told = [meter.database_up]
    for works in (False, False, True):
        meter.note_database(works=works)
        told.append(meter.database_up)

    assert (told, meter.database_failures) == ([None, False, False, True], 2)
