"""What an operator may ask a backfill for."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.errors import ConfigurationError
from positionstore.reconcile.backfill import BackfillRequest, What
from positionstore.reconcile.scope import MARGIN

NOW = datetime(2026, 7, 10, 12, 0, tzinfo=UTC)


def wanted(since: str = "", until: str = "", *, everything: bool = False) -> BackfillRequest:
    return BackfillRequest.parse(since, until, everything=everything, now=NOW)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, tzinfo=UTC)


def test_without_anything_it_is_the_gaps() -> None:
    assert wanted() == BackfillRequest(What.GAPS)


def test_all_is_the_full_scope() -> None:
    assert wanted(everything=True).scope.name == "full"


@pytest.mark.parametrize(
    ("since", "until", "window"),
    [
        ("2026-07-01", "2026-07-01", (at(1), at(2))),
        ("2026-07-01T03:00:00Z", "", (at(1, 3), None)),
        ("2026-07-01T03:00:00+02:00", "2026-07-02", (at(1, 1), at(3))),
        ("", "2026-07-01T09:00Z", (None, at(1, 9))),
        ("2026-07-10", "2030-01-01", (at(10), datetime(2030, 1, 2, tzinfo=UTC))),
    ],
)
def test_moments_have_an_offset_and_dates_count_in_full(
    since: str, until: str, window: tuple[datetime | None, datetime | None]
) -> None:
    found = wanted(since, until)

    assert (found.what, found.since, found.until) == (What.WINDOW, *window)
    begin, end = window
    assert found.scope.closed_since == (begin - MARGIN if begin else None)
    assert found.scope.closed_until == (end + MARGIN if end else None)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("soon", ""),
        ("2026-07-01T03:00:00", ""),
        ("20260701T030000", ""),
        ("2026-13-01", ""),
        ("0001-01-01T00:00:00+14:00", ""),
        ("2026-07-02", "2026-07-01"),
        ("2026-07-01T03:00:00Z", "2026-07-01T03:00:00Z"),
        (f"{NOW + timedelta(seconds=1):%FT%TZ}", ""),
    ],
)
def test_what_cannot_be_understood_is_refused(since: str, until: str) -> None:
    with pytest.raises(ConfigurationError):
        wanted(since, until)


def test_it_says_in_words_what_it_is() -> None:
    assert str(wanted(everything=True)) == "all history"
    assert (
        str(wanted("2026-07-01", "2026-07-01"))
        == "the window since 2026-07-01 00:00:00 UTC until 2026-07-02 00:00:00 UTC"
    )


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("0001-01-01T00:00:00Z", ""),
        ("0001-01-01", "9999-12-31"),
        ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_the_ends_of_the_calendar_are_moments_too(since: str, until: str) -> None:
    scope = wanted(since, until).scope
    assert scope.closed_since == datetime(1, 1, 1, tzinfo=UTC)
    assert not until or scope.closed_until == datetime.max.replace(tzinfo=UTC)
