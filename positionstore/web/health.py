"""Whether a process is alive, and whether it is ready."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Final

from positionstore.ingest.meter import Meter
from positionstore.model.check import Check
from positionstore.store import migrations
from positionstore.web.store_reader import EVERY, Reading

LONGEST_SILENCE: Final = 15.0
"""Seconds for which the event loop may do nothing before it counts as stuck."""

_OLDEST_LOOK: Final = 4 * EVERY
"""Seconds after which a look at the database says nothing any more."""


class Pulse:
    """Whether an event loop runs: the loop beats, another thread checks.

    Args:
        monotonic: a clock, seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic()

    def beat(self) -> None:
        """The loop has run."""
        self._at = self._monotonic()

    def check(self) -> Check:
        """Check whether it ran recently."""
        silent = self._monotonic() - self._at
        if silent <= LONGEST_SILENCE:
            return Check("loop", True, "The event loop turns.")
        return Check("loop", False, f"The event loop has done nothing for {silent:.0f} s.")


def readiness(
    meter: Meter, reading: Reading, monotonic: Callable[[], float] = time.monotonic
) -> list[Check]:
    """Check what an ingester needs: the database, its schema, the gateway."""
    old = reading.looked_at is None or monotonic() - reading.looked_at > _OLDEST_LOOK
    reachable = reading.reachable and not old
    works = reachable and meter.database_up is not False
    if works:
        database = Check("database", True, "The database answers.")
    elif reading.looked_at is None:
        database = Check("database", False, "The database was not looked at yet.")
    else:
        said = (
            f"The database cannot be used: {reading.unreachable or 'the log says why.'}"
            if not old
            else (f"The database has not answered for {monotonic() - reading.looked_at:.0f} s.")
        )
        database = Check("database", False, said)
    head = migrations.head()
    if reading.revision == head:
        schema = Check("schema", True, f"The schema is at head ({head}).")
    else:
        found = reading.revision or ("not known" if not reachable else "none")
        schema = Check("schema", False, f"The schema is {found}; {head} is needed.")
    if meter.standing().connected:
        gateway = Check("gateway", True, "The gateway is connected.")
    else:
        gateway = Check("gateway", False, "The gateway is not connected; the log says why.")
    return [database, schema, gateway]


def body(checks: Sequence[Check], *, verbose: bool) -> str:
    """Return the checks as a line of JSON: failed ones, or all with ``verbose``."""
    failing = [check.name for check in checks if not check.ok]
    said: dict[str, object] = {"status": "failing" if failing else "ok", "failing": failing}
    if verbose:
        said["checks"] = [
            {"name": check.name, "ok": check.ok, "detail": check.says} for check in checks
        ]
    return json.dumps(said) + "\n"
