"""What the sandbox recorded, held against what the store has.

An event is **delivered** when a client has certainly read it: it was handed to the client's
connection, and the client answered a ping that was sent after it. What a connection that was cut
had not been read from, nobody has received.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
from support.harness.actors import Life

from positionstore.sandbox import Record
from positionstore.sandbox.sessions import Session

_NONSENSE = re.compile(rb"nonsense_[0-9]+")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has kept.

    Attributes:
        events: the digest of each event's envelope in the log, by its id.
        twice: ids that the log has more than once.
        nonsense: what is in quarantine, by its name.
    """

    events: dict[str, str]
    twice: list[str]
    nonsense: frozenset[str]

    @classmethod
    def of(cls, connection: psycopg.Connection) -> "Kept":
        """Look at a store."""
        rows = connection.execute(
            "SELECT event_id, md5(envelope::text), count(*) OVER (PARTITION BY event_id)"
            " FROM events WHERE source <> 'rest'"
        ).fetchall()
        raws = connection.execute("SELECT raw FROM quarantine").fetchall()
        found = [_NONSENSE.search(bytes(raw)) for (raw,) in raws]
        return cls(
            {name: digest for name, digest, _ in rows},
            sorted({name for name, _, times in rows if times > 1}),
            frozenset(match[0].decode() for match in found if match),
        )

    def __contains__(self, name: object) -> bool:
        return name in self.events or name in self.nonsense


@dataclass(slots=True)
class Account:
    """What became of the delivered events.

    Attributes:
        emitted: events that were sent or lost, or were not heard; each once.
        delivered: of these, those that a client has certainly read.
        logged: events in the log.
        quarantined: of the inputs that are no events, those in quarantine.
        lost: delivered, but in neither; and no killed process had them in memory alone, as one may
            that does not put every event on disk before it reads the next.
        from_memory: delivered to a process that was killed (kill -9) before they were on disk.
        most_from_memory: the most that one killed process took with it.
        out_of_turn: taken along by a killed process though something later was not.
        duplicated: more than once in the log.
        altered: in the log in other words than they were sent in, or never sent at all.
    """

    emitted: int = 0
    delivered: int = 0
    logged: int = 0
    quarantined: int = 0
    lost: list[str] = field(default_factory=list)
    from_memory: int = 0
    most_from_memory: int = 0
    out_of_turn: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)


class Ledger:
    """Reads a recording as it grows.

    Args:
        recording: the sandbox's.
    """

    def __init__(self, recording: Path) -> None:
        self._recording = recording
        self._read = 0
        self._digests: dict[str, str] = {}
        self._heard: dict[str, list[str]] = defaultdict(list)
        self._hearers: dict[str, set[str]] = defaultdict(set)

    def read(self) -> None:
        """Read what is new."""
        with self._recording.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._add(msgspec.json.decode(line, type=Record))

    def _add(self, record: Record) -> None:
        name = record.event_id
        if not name:
            match = _NONSENSE.search(bytes(record.envelope))
            assert match is not None, record
            name = match[0].decode()
        self._digests[name] = hashlib.md5(record.envelope, usedforsecurity=False).hexdigest()
        for sid in record.recipients:
            self._heard[sid].append(name)
            self._hearers[name].add(sid)

    def delivered(self, sessions: Sequence[Session]) -> dict[str, set[str]]:
        """Return the delivered events, each with the clients that have certainly read it."""
        found: dict[str, set[str]] = defaultdict(set)
        for session in sessions:
            for name in self._heard[session.sid][: session.answered]:
                found[name].add(session.sid)
        return found

    def account(self, sessions: Sequence[Session], lives: Sequence[Life], kept: Kept) -> Account:
        """Say what became of everything.

        Args:
            sessions: every client's connection so far.
            lives: every process so far.
            kept: what the store has.
        """
        delivered = self.delivered(sessions)
        killed = {f"1.1 {life.name}" for life in lives if life.killed and not life.durable}
        of_killed = {session.sid for session in sessions if session.via in killed}
        missing = {name for name in delivered if name not in kept}
        lost = {name for name in missing if not delivered[name] <= of_killed}
        found = Account(
            emitted=len(self._digests),
            delivered=len(delivered),
            logged=len(kept.events),
            quarantined=len(kept.nonsense),
            lost=sorted(lost),
            from_memory=len(missing - lost),
            duplicated=kept.twice,
            altered=sorted(
                name for name, digest in kept.events.items() if self._digests.get(name) != digest
            ),
        )
        for via in killed:
            self._memory_of([each for each in sessions if each.via == via], kept, found)
        return found

    def _memory_of(self, sessions: Sequence[Session], kept: Kept, found: Account) -> None:
        """Hold a killed process to its word: what it lost are the last things that it read."""
        sids = {session.sid for session in sessions}
        read = [
            name for session in sessions for name in self._heard[session.sid][: session.answered]
        ]
        first = next((n for n, name in enumerate(read) if name not in kept), len(read))
        found.most_from_memory = max(found.most_from_memory, len(set(read[first:])))
        before = set(read[:first])
        found.out_of_turn += [
            name
            for name in read[first:]
            if name in kept and name not in before and self._only_from(name, sids)
        ]

    def _only_from(self, name: str, sids: Collection[str]) -> bool:
        return self._hearers[name] <= set(sids)
