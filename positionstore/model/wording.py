"""Numbers in the sentences that people read."""


def counted(number: int, what: str) -> str:
    """Return a number and what it counts: ``1 file``, ``2,000 files``."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
