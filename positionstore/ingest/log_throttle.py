"""Keeps the log short: each cause once a state, what repeats as a count; in bounded memory."""

import asyncio
import re
from collections.abc import Callable
from typing import Final

_MOST: Final = 16
"""Different causes that are logged of one state; what differs at every attempt says nothing new."""

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 3600.0

_NAMED: Final = re.compile(
    r"\b(?P<name>(?:request|req|ref(?:erence)?|trace|ray|correlation|incident|session|id)"
    r"(?:[ _-]?id)?)(?P<sign>[:=# ]\s{0,3})[\w-]+"
)
_NUMBER: Final = re.compile(r"[\w-]*\d(?:[.:]?[\w-]+)*")


def shape(words: str) -> str:
    """Return words without what differs from one time to the next: numbers, ids, times."""
    return _NUMBER.sub("#", _NAMED.sub(r"\g<name>\g<sign>#", words.lower()))


class LoggedCauses:
    """The causes of one state that were logged, by their shape.

    Attributes:
        repeated: how many came after the one that was logged last, and were not.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._shapes: set[str] = set()

    def is_new(self, words: str, *, kind: str = "") -> bool:
        """Whether to log a cause: not if it was logged, nor after too many different ones."""
        found = f"{kind}\n{shape(words)}"
        if found in self._shapes or len(self._shapes) >= _MOST:
            self.repeated += 1
            return False
        self._shapes.add(found)
        return True

    def forget(self) -> None:
        """The state is over."""
        self.repeated = 0
        self._shapes.clear()


class CountedLines:
    """Logs what may come thousands of times as one line with a count.

    What comes is gathered for a second before it is logged. While it goes on it is logged again,
    after pauses that double up to an hour; when nothing came during such a pause, it is forgotten.

    Args:
        say: is given the words of the first, and how many there were.
    """

    def __init__(self, say: Callable[[str, int], None]) -> None:
        self._say = say
        self._kinds: dict[str, _Kind] = {}

    def note(self, words: str) -> None:
        """It came once more; to be called in an event loop."""
        found = shape(words)
        if found not in self._kinds and len(self._kinds) >= _MOST:
            found = ""  # all that is too much is one kind
        kind = self._kinds.setdefault(found, _Kind())
        if not kind.count:
            kind.words = words
        kind.count += 1
        if kind.timer is None:
            kind.timer = asyncio.get_running_loop().call_later(kind.wait, self._due, found)

    def flush(self) -> None:
        """Log at once what is gathered, and forget everything."""
        kinds, self._kinds = self._kinds, {}
        for kind in kinds.values():
            if kind.timer is not None:
                kind.timer.cancel()
            if kind.count:
                self._say(kind.words, kind.count)

    def _due(self, found: str) -> None:
        kind = self._kinds[found]
        if not kind.count:
            del self._kinds[found]
            return
        self._say(kind.words, kind.count)
        kind.count = 0
        kind.wait = min(kind.wait * 2, _LONGEST_WAIT)
        kind.timer = asyncio.get_running_loop().call_later(kind.wait, self._due, found)


class _Kind:
    def __init__(self) -> None:
        self.words = ""
        self.count = 0
        self.wait = _FIRST_WAIT
        self.timer: asyncio.TimerHandle | None = None
