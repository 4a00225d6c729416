"""A line of a file that is longer than any envelope."""

import hashlib
from typing import Final

from positionstore.model.facts import LONGEST_ENVELOPE, Reason, Rejected

_KEPT: Final = 64 * 1024


class LongLine:
    """A line that is too long, of which the beginning alone is kept."""

    def __init__(self, parts: list[bytes]) -> None:
        self._beginning = b"".join(parts)[:_KEPT]
        self._digest = hashlib.sha256()
        self.length = 0
        for part in parts:
            self.add(part)

    def add(self, part: bytes) -> None:
        """Take in how it goes on."""
        self.length += len(part)
        self._digest.update(part)

    def rejected(self, name: str, number: int) -> Rejected:
        """Return what quarantine gets of it."""
        detail = (
            f"It has {self.length:,} bytes, and an envelope {LONGEST_ENVELOPE:,} at most. These "
            f"are its first {len(self._beginning):,}; the rest is in {name}, line {number}."
        )
        return Rejected(self._beginning, Reason.TOO_LONG, detail, self._digest.digest())
