"""``positionstore`` on a machine whose wall clock is set while it runs: a program of its own.

Nothing of the product knows of it: here the modules that ask for the time are given another
answer, wrong by as many seconds as the file says that ``TURMOIL_CLOCK`` names.
"""

import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

VARIABLE = "TURMOIL_CLOCK"


class Wrong(datetime):
    """What such a machine takes for the time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # no subclass is wanted
        """Return it, as a plain ``datetime``: msgspec encodes no other."""
        wrong = float(Path(os.environ[VARIABLE]).read_text(encoding="ascii"))
        return datetime.now(tz) + timedelta(seconds=wrong)


def set_to(path: Path, wrong: float) -> None:
    """Set the clocks of all who read a file: wrong by so many seconds."""
    aside = path.with_suffix(".new")
    aside.write_text(f"{wrong:.3f}", encoding="ascii")
    aside.replace(path)


def _mislead() -> None:
    from positionstore.dimes import gateway, rest, tokens  # noqa: PLC0415 - the same
    from positionstore.reconcile import backfill  # noqa: PLC0415 - not for those who only set the clocks
    from positionstore.reconcile import reconciler as reconcile  # noqa: PLC0415 - the same
    from positionstore.service import service  # noqa: PLC0415 - the same

    for module in (backfill, gateway, rest, tokens, reconcile, service):
        assert vars(module)["datetime"] is datetime, "it asks it for the time"
        vars(module)["datetime"] = Wrong


if __name__ == "__main__":
    from positionstore.cli import main

    _mislead()
    sys.exit(main())
