"""The dates of HTTP headers, and the as-of that follows from one.

Source: RFC 9110, "Date/Time Formats" and "Date".
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


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
