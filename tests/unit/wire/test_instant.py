"""ISO 8601 instants, read exactly."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.model.timestamps import parse_instant


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc] # year, month, day...


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-01T12:34:56.789Z", utc(2026, 7, 1, 12, 34, 56, 789000)),
        ("2026-07-01T12:34:56Z", utc(2026, 7, 1, 12, 34, 56)),
        ("2026-07-01T12:34Z", utc(2026, 7, 1, 12, 34)),
        ("20260701T123456Z", utc(2026, 7, 1, 12, 34, 56)),
        ("2026-07-01 12:34:56z", utc(2026, 7, 1, 12, 34, 56)),
        ("2026-07-01t12:34:56,5Z", utc(2026, 7, 1, 12, 34, 56, 500000)),
        ("2026-07-01T12:34:56+02:00", utc(2026, 7, 1, 10, 34, 56)),
        ("2026-07-01T12:34:56-0330", utc(2026, 7, 1, 16, 4, 56)),
        ("2026-07-01T12:34:56+23:59", utc(2026, 6, 30, 12, 35, 56)),
        ("2026-07-01T12:34:56-00", utc(2026, 7, 1, 12, 34, 56)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
    ],
)
def test_every_usual_spelling_is_read(text: str, instant: datetime) -> None:
    found = parse_instant(text)

    assert found == instant
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("digits", "microsecond"),
    [
        ("1", 100000),
        ("000001", 1),
        ("1234567", 123456),
        ("9999999999", 999999),
        ("0" * 400 + "1", 0),
    ],
)
def test_a_fraction_of_any_length_is_cut_to_microseconds(digits: str, microsecond: int) -> None:
    assert parse_instant(f"2026-07-01T12:00:00.{digits}Z").microsecond == microsecond


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2016-12-31T23:59:60Z", utc(2017, 1, 1)),
        ("2016-12-31T23:59:60.000Z", utc(2017, 1, 1)),
        ("2016-12-31T23:59:60.250Z", utc(2017, 1, 1, 0, 0, 0, 250000)),
        ("2017-01-01T05:29:60+05:30", utc(2017, 1, 1)),
        ("0001-01-01T00:59:60+01:00", utc(1, 1, 1)),
    ],
)
def test_a_leap_second_is_the_first_second_of_the_next_minute(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text", ["2026-06-30T24:00:00Z", "2026-06-30T24:00:00.000Z", "20260630T24:00Z"]
)
def test_the_midnight_that_ends_a_day_begins_the_next(text: str) -> None:
    assert parse_instant(text) == utc(2026, 7, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-07-01T12:00:00", "no offset"),
        ("2026-07-01 12:00", "no offset"),
        ("2026-07-01", "no ISO 8601 instant"),
        ("2026-07-01T12Z", "no ISO 8601 instant"),
        ("2026-07-01T12:00:00.Z", "no ISO 8601 instant"),
        ("2026-07-01T12:00:00Z\n", "no ISO 8601 instant"),
        (" 2026-07-01T12:00:00Z", "no ISO 8601 instant"),
        ("2026-07-01T12:00:00 UTC", "no ISO 8601 instant"),
        ("+12026-07-01T12:00:00Z", "no ISO 8601 instant"),
        ("-0001-07-01T12:00:00Z", "no ISO 8601 instant"),
        ("\u0662\u0660\u0662\u0666-07-01T12:00:00Z", "no ISO 8601 instant"),
        ("2026-13-01T12:00:00Z", "no moment of the calendar"),
        ("2026-07-01T24:00:01Z", "no moment of the calendar"),
        ("2026-07-01T24:00:00.500Z", "no moment of the calendar"),
        ("2026-07-01T25:00:00.000Z", "no moment of the calendar"),
        ("2026-07-01T12:60:00.000Z", "no moment of the calendar"),
        ("2026-07-01T12:00:61Z", "no moment of the calendar"),
        ("0000-01-01T00:00:00Z", "no moment of the calendar"),
        ("2026-07-01T12:00:00+24:00", "no time of day"),
        ("2026-07-01T12:00:00+00:60", "no time of day"),
        ("0001-01-01T00:00:00+00:01", "outside the years"),
        ("9999-12-31T23:59:59-00:01", "outside the years"),
        ("9999-12-31T23:59:60Z", "outside the years"),
        ("9999-12-31T24:00:00Z", "outside the years"),
    ],
)
def test_what_is_no_instant_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_instant(text)
