"""Keeps this process's recovery session where its successor finds it.

What the gateway emits between the end of one process and the start of the next can be recovered
like any other outage, if the next one knows the session. The session is a secret, so it is kept
where the other secrets of the data directory are: in a file that only its user may read, never in
the database. It is gone when a successor has taken it, and no longer used after ten minutes; a
gateway forgets it after two by default.

The session that is kept is one whose every event is in the database or in the spool: after a
crash the successor asks for what came after those.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

import msgspec

from positionstore.dimes.recovery import RecoverySession
from positionstore.model.facts import Source

OLDEST: Final = timedelta(minutes=10)
_LONGEST: Final = 64 * 1024


class _Kept(msgspec.Struct):
    gateway: str
    base_url: str
    pid: str
    offset: str
    seen_until: datetime
    patience: float
    saved_at: datetime
    replays_all: bool = True


class SessionFile:
    """A file of this process, locked as long as it lives. A disk that refuses is no error.

    Args:
        data_dir: the folder of everything positionstore keeps.
        gateway: which gateway.
        base_url: its host.
    """

    def __init__(self, data_dir: Path, *, gateway: Source, base_url: str) -> None:
        self._folder = data_dir / "recovery"
        self._gateway = gateway
        self._base_url = base_url
        self._file: int | None = None

    def take_over(self, now: datetime) -> RecoverySession | None:
        """Return this gateway's latest session of a process that is gone; forget all of them.

        Sessions of other gateways are left to theirs, unless they are too old to be used.

        Args:
            now: the present moment, UTC.
        """
        latest = max(self._left_behind(now), key=lambda kept: kept.saved_at, default=None)
        if latest is None:
            return None
        seen_until = latest.seen_until.astimezone(UTC)
        session = RecoverySession(
            latest.pid, latest.offset, seen_until, latest.patience, latest.replays_all
        )
        self.save(session, latest.saved_at)  # this process may end before it is connected
        return session

    def save(self, session: RecoverySession, now: datetime) -> None:
        """Keep a session whose every event is safe, in place of the one that was kept before.

        Args:
            session: the session.
            now: the present moment, UTC.
        """
        content = msgspec.json.encode(
            _Kept(
                self._gateway.value,
                self._base_url,
                session.pid,
                session.offset,
                session.seen_until,
                session.patience,
                now,
                session.replays_all,
            )
        )
        with suppress(OSError):
            if self._file is None:
                self._file = self._made()
            # One that is cut short by a crash is no JSON, and then nothing is recovered.
            os.pwrite(self._file, content, 0)
            os.ftruncate(self._file, len(content))

    def close(self) -> None:
        """Leave what is kept to the next process."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _made(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._gateway}-{token_hex(8)}.json"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _left_behind(self, now: datetime) -> Iterator[_Kept]:
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                if path.suffix == ".json":
                    kept = _taken(path, lambda kept: self._is_own(kept) or not _is_fresh(kept, now))
                    if kept is not None and _is_fresh(kept, now):
                        yield kept

    def _is_own(self, kept: _Kept) -> bool:
        return (kept.gateway, kept.base_url) == (self._gateway, self._base_url)


def _is_fresh(kept: _Kept, now: datetime) -> bool:
    return timedelta() <= now - kept.saved_at <= OLDEST


def _taken(path: Path, wanted: Callable[[_Kept], bool]) -> _Kept | None:
    """Delete a file whose process is gone, and return what was in it; others stay.

    One that is no session is deleted, too.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            kept = msgspec.json.decode(os.pread(file, _LONGEST, 0), type=_Kept)
        except (ValueError, RecursionError):
            kept = None
        if kept is not None and not wanted(kept):
            return None
        path.unlink()
    except OSError:
        return None
    else:
        return kept
    finally:
        os.close(file)
