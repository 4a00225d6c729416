"""Moments as ISO 8601 and HTTP spell them, read exactly and alike on every version of Python."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_USUAL: Final = re.compile(r"\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:(?!60)\d\d\.\d{3}Z", re.ASCII)
_INSTANT: Final = re.compile(
    r"""
    (?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)
    [Tt\ ]
    (?P<hour>\d\d):?(?P<minute>\d\d)
    (?: :?(?P<second>\d\d) (?: [.,](?P<fraction>\d+) )? )?
    (?: (?P<utc>[Zz]) | (?P<sign>[+-])(?P<offset_hours>\d\d) (?: :?(?P<offset_minutes>\d\d) )? )
    """,
    re.VERBOSE | re.ASCII,
)


def parse_instant(text: str) -> datetime:
    """Return the instant that ``text`` names, in UTC, cut to microseconds.

    Takes calendar dates in the extended and the basic format, any offset, any number of
    fractional digits, the midnight that ends a day (``24:00``), and a leap second (``:60`` is the
    first second of the next minute); the last two as Postgres reads them.

    Raises:
        ValueError: ``text`` is no such instant, has no offset, or falls outside the years 0001
            to 9999 in UTC; the message says which.
    """
    if _USUAL.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"it is no moment of the calendar: {error}") from None
    match = _INSTANT.fullmatch(text)
    if match is None:
        if _INSTANT.fullmatch(text + "Z"):
            raise ValueError("it has no offset from UTC")
        raise ValueError("it is no ISO 8601 instant")
    part = match.groupdict(default="0")
    hour, minute, second = int(part["hour"]), int(part["minute"]), int(part["second"])
    microsecond = int(part["fraction"][:6].ljust(6, "0"))
    leap = second == 60
    midnight = (hour, minute, second, microsecond) == (24, 0, 0, 0)
    try:
        local = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            0 if midnight else hour,
            minute,
            59 if leap else second,
            microsecond,
            tzinfo=UTC,
        )
    except ValueError as error:
        raise ValueError(f"it is no moment of the calendar: {error}") from None
    hours, minutes = int(part["offset_hours"]), int(part["offset_minutes"])
    if hours > 23 or minutes > 59:
        raise ValueError("its offset from UTC is no time of day")
    offset = timedelta(hours=hours, minutes=minutes) * (1 if part["sign"] == "-" else -1)
    try:
        return local + (offset + timedelta(days=midnight, seconds=leap))
    except OverflowError:
        raise ValueError("it falls outside the years 0001 to 9999 in UTC") from None


def parse_http_date(text: str | None) -> datetime | None:
    """Return the moment that a header such as ``Date`` names, in UTC; None where it names none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def as_of(stamped: datetime | None, *, round_trip: float, sent_at: datetime) -> datetime:
    """Return a moment at which the server had certainly not yet read what it answered.

    The answer was stamped after the request left and before its headers were here, so the stamp
    less the time between these two lies before the request left, by the server's own clock. It is
    never later than our own clock was when the request left: a snapshot from the future would beat
    every event until then. ``Date`` is cut to whole seconds (and some servers stamp
    from a clock that they read once a second), which can only move the result further into the
    past. So does measuring the whole round trip. The error is always on the safe side: a second
    and the answer's way back at most.

    Args:
        stamped: the answer's ``Date``, UTC; None where it has none.
        round_trip: seconds from before the request was sent until the headers were here.
        sent_at: the local time before the request was sent; it stands in for a missing ``Date``.
    """
    if stamped is None:
        return sent_at
    try:
        return min(stamped - timedelta(seconds=max(round_trip, 0.0)), sent_at)
    except OverflowError:
        return sent_at
