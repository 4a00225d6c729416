"""How moments stand in a spool's file: as whole microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def number_of(moment: datetime) -> int:
    """Return what to write for a moment."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime:
    """Return the moment that a number was written for, UTC."""
    return _EPOCH + number * _MICROSECOND
