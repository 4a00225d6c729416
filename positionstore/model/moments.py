"""Moments as a person names them in an option of a command line."""

import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Final

from positionstore.errors import ConfigurationError

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment_of(option: str, text: str, *, end_of_day: bool = False) -> datetime:
    """Return the moment that an option of a command line names, UTC.

    Args:
        option: its name.
        text: a moment with an offset, or a date.
        end_of_day: whether a date is the end of that day, and not its midnight.

    Raises:
        ConfigurationError: it is neither.
    """
    unreadable = ConfigurationError(
        f"{option} {text} is no moment.",
        remedy="Write it as 2026-07-01T03:00:00Z, with an offset, or as a date: 2026-07-01.",
    )
    try:
        if _DATE.fullmatch(text):
            day = datetime.combine(date.fromisoformat(text), time_of_day(), tzinfo=UTC)
            if not end_of_day:
                return day
            if day.date() == date.max:  # the calendar ends with this day
                return datetime.max.replace(tzinfo=UTC)
            return day + timedelta(days=1)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise unreadable
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise unreadable from None
