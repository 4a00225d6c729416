"""The envelopes of a run: written once, read by everything that is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmark.scale import Scale
from positionstore.dimes.decoder import decode
from positionstore.model.facts import Event
from positionstore.sandbox import history

DUPLICATES = 0.05
SHUFFLED_WITHIN = 60.0
"""Seconds."""

_SEED = 7


def envelopes(events: int, positions: int) -> Iterator[bytes]:
    """Yield envelopes of that many events, with duplicates, out of order within a minute."""
    return history(
        events=events,
        seed=_SEED,
        positions=positions,
        duplicates=DUPLICATES,
        shuffle_within=SHUFFLED_WITHIN,
    )


@dataclass(frozen=True, slots=True)
class Workload:
    """Two files of envelopes, one a line; the second goes on where the first ends.

    Attributes:
        path: what is imported, and whose beginning is sent in the burst.
        lines: its lines.
        events: its lines less the duplicates.
        burst_events: the same of the lines that are sent in the burst.
        positions: the positions they speak of.
        bytes: the length of all its envelopes.
        paced_path: what is sent at a steady rate.
    """

    path: Path
    lines: int
    events: int
    burst_events: int
    positions: int
    bytes: int
    paced_path: Path

    @classmethod
    def made(cls, folder: Path, scale: Scale) -> "Workload":
        """Write the files into a folder."""
        path, paced_path = folder / "events.jsonl", folder / "paced.jsonl"
        source = envelopes(scale.lines + scale.paced_lines, scale.positions)
        seen: set[tuple[str, str]] = set()
        size = burst_events = 0
        with path.open("wb") as file:
            for number, envelope in enumerate(islice(source, scale.lines), start=1):
                event = decode(envelope)
                if not isinstance(event, Event):
                    raise TypeError(
                        f"the sandbox made something that is not an event: {event.detail}"
                    )
                seen.add((event.position_id, event.event_id))
                if number == scale.burst_lines:
                    burst_events = len(seen)
                size += len(envelope)
                file.write(envelope + b"\n")
        with paced_path.open("wb") as file:
            file.writelines(e + b"\n" for e in islice(source, scale.paced_lines))
        positions = len({position_id for position_id, _ in seen})
        return cls(path, scale.lines, len(seen), burst_events, positions, size, paced_path)

    def described(self) -> dict[str, int | float]:
        """Return what it is like, for the report."""
        return {
            "lines": self.lines,
            "events": self.events,
            "positions": self.positions,
            "bytes_each": round(self.bytes / self.lines),
            "duplicates": DUPLICATES,
            "shuffled_within_seconds": SHUFFLED_WITHIN,
        }
