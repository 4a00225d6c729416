"""How much of everything a run takes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of a run.

    Attributes:
        positions: how many live at a time.
        lines: envelopes that are imported, and sent in the burst.
        rounds: how often the import, its yardstick and the burst are repeated.
        paced_lines: envelopes that are sent at ``rate``, for the latency.
        rate: of these, how many a second.
        few_lines: an import whose memory is the yardstick.
        many_lines: an import whose memory is measured.
    """

    positions: int
    lines: int
    rounds: int
    paced_lines: int
    rate: int
    few_lines: int
    many_lines: int


FULL: Final = Scale(
    positions=40_000,
    lines=100_000,
    rounds=3,
    paced_lines=15_000,
    rate=500,
    few_lines=10_000,
    many_lines=1_000_000,
)
QUICK: Final = Scale(
    positions=40_000,
    lines=15_000,
    rounds=1,
    paced_lines=1_500,
    rate=500,
    few_lines=10_000,
    many_lines=60_000,
)
