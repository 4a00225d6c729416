"""How long to wait before the next attempt."""

from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter.

    Each wait is drawn evenly from zero up to a ceiling that doubles with every attempt, so that
    many clients who lost one server do not come back all at once.

    Args:
        base: the ceiling of the first wait, seconds.
        cap: the highest ceiling, seconds.
        random: draws a number from 0 to 1.
    """

    def __init__(self, *, base: float, cap: float, random: Callable[[], float]) -> None:
        self._base = min(base, cap)
        self._cap = cap
        self._random = random
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """How many waits were drawn since the last success."""
        return self._attempts

    @property
    def ceiling(self) -> float:
        """The longest that the next wait can be, seconds."""
        # Beyond 2**30 every cap is reached; a float would overflow in the end.
        return min(self._cap, self._base * float(2 ** min(self._attempts, 30)))

    def draw(self) -> float:
        """Return the next wait, seconds."""
        wait = self._random() * self.ceiling
        self._attempts += 1
        return wait

    def succeeded(self, *, lasted: float) -> None:
        """Start over if a success lasted, in seconds, as long as the wait it would spare.

        A gateway that lets us in and throws us out at once is no success.
        """
        if lasted >= self.ceiling:
            self._attempts = 0
