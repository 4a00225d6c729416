"""How much of everything a run takes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of a run.

    Attributes:
        positions: how many live at a time.
        lines: envelopes that are imported.
        burst_lines: of these, how many are sent in the burst, the first ones.
        rounds: how often the import, its yardstick and the burst are repeated.
        paced_lines: envelopes that are sent at ``rate``, for the latency.
        durable_lines: envelopes of a burst that has to be on the disk.
        earlier_lines: the same for the earlier build, which loses its connection to longer ones.
        rate: of these, how many a second.
        turns: how often an earlier build and this one take turns.
        few_lines: an import whose memory is the yardstick.
        many_lines: an import whose memory is measured.
        few_compared: positions of a reconciliation whose memory is the yardstick.
        many_compared: positions of a reconciliation whose memory is measured.
        indexed_lines: envelopes that are imported with and without each index.
    """

    positions: int
    lines: int
    burst_lines: int
    rounds: int
    paced_lines: int
    durable_lines: int
    earlier_lines: int
    rate: int
    turns: int
    few_lines: int
    many_lines: int
    few_compared: int
    many_compared: int
    indexed_lines: int


FULL: Final = Scale(
    positions=10_000,
    lines=220_000,
    burst_lines=100_000,
    rounds=3,
    paced_lines=15_000,
    durable_lines=20_000,
    earlier_lines=4_000,
    rate=500,
    turns=5,
    few_lines=10_000,
    many_lines=1_000_000,
    few_compared=10_000,
    many_compared=100_000,
    indexed_lines=100_000,
)
QUICK: Final = Scale(
    positions=40_000,
    lines=10_000,
    burst_lines=10_000,
    rounds=1,
    paced_lines=1_000,
    durable_lines=1_000,
    earlier_lines=200,
    rate=500,
    turns=1,
    few_lines=5_000,
    many_lines=30_000,
    few_compared=2_500,
    many_compared=5_000,
    indexed_lines=2_000,
)
