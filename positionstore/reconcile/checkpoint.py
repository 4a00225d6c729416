"""How far a run has come, so that one that was killed can go on."""

from typing import Protocol


class Checkpoint(Protocol):
    """Remembers how far each walk has come, so that a killed run can go on."""

    def position_of(self, walk: str) -> tuple[str | None, bool]:
        """Return the id of the last position passed, and whether the walk has ended."""
        ...

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        """Remember that all up to this position is done."""
        ...


class NoCheckpoint:
    """A run that is done again from its beginning if it is killed."""

    def position_of(self, walk: str) -> tuple[str | None, bool]:
        """Nothing is done yet."""
        del walk
        return None, False

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        """Remember nothing."""
