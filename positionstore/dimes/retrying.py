"""How long, and how often, a request is tried again."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from positionstore.errors import GatewayError
from positionstore.model.timestamps import parse_http_date

LONGEST_ASKED: Final = 3600.0
"""Seconds: the longest ``Retry-After`` that a stream keeps. Every minute away loses events."""

_BASE: Final = 0.5
_CAP: Final = 30.0
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


class TransientError(GatewayError):
    """A request failed in a way that may pass: another attempt may succeed.

    Attributes:
        asked: the seconds that the server asked to wait; None if it did not.
    """

    def __init__(self, message: str, *, asked: float | None = None) -> None:
        super().__init__(message)
        self.asked = asked


class RetryBudget:
    """The retry budget of one request.

    Each pause is random, from zero up to a ceiling that doubles with every attempt (full jitter),
    so that clients refused together do not return together. If the server asks for a pause, the
    jitter is added to it.

    Args:
        budget: seconds from the first failure in which another attempt may begin.
        monotonic: a monotonic clock, seconds.
        random: returns a random number from 0 to 1.

    Attributes:
        attempts: the number of failed attempts.
    """

    def __init__(
        self, budget: float, *, monotonic: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.attempts = 0
        self._budget = budget
        self._monotonic = monotonic
        self._random = random
        self._first_failure: float | None = None

    @property
    def spent(self) -> float:
        """Seconds since the first failure."""
        return 0.0 if self._first_failure is None else self._monotonic() - self._first_failure

    def wait(self, asked: float | None = None) -> float | None:
        """Record a failure and return the seconds to wait; None when the budget is used up.

        Args:
            asked: the seconds the server asked for.
        """
        if self._first_failure is None:
            self._first_failure = self._monotonic()
        left = self._budget - self.spent
        # Beyond 2**10 the cap is reached; a float would overflow in the end.
        jitter = self._random() * min(_CAP, _BASE * 2.0 ** min(self.attempts, 10))
        self.attempts += 1
        least = asked or 0.0
        if left <= 0 or least > left:
            return None
        return min(least + jitter, left)


def retry_after(header: str | None, *, date: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, in either of its forms.

    Args:
        header: seconds, or an HTTP date; anything else is ignored.
        date: the answer's ``Date``: a date is relative to the server's clock.
        now: the local time, in case of a missing ``Date``; UTC.

    Source: RFC 9110, "Retry-After".
    """
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = parse_http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (parse_http_date(date) or now)).total_seconds())
