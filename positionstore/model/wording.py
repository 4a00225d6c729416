"""Numbers in the sentences that people read."""

from decimal import Decimal
from typing import Final

_PIPS: Final = 10_000


def counted(number: int, what: str) -> str:
    """Return a number and what it counts: ``1 file``, ``2,000 files``, ``3 retries``."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what[:-1]}ies" if what.endswith("ry") else f"{number:,} {what}s"


def dollars(pips: int | Decimal | None) -> str:
    """Return an amount in pips (1/10,000 USD) as exact dollars; None is empty.

    >>> dollars(-12_345_600)
    '-$1,234.56'
    """
    if pips is None:
        return ""
    whole, rest = divmod(abs(int(pips)), _PIPS)
    cents = f"{rest:04}".rstrip("0").ljust(2, "0")
    return f"{'-' if pips < 0 else ''}${whole:,}.{cents}"
