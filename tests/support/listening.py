"""What listeners of the log are told."""

from itertools import takewhile

import psycopg

from support.waiting import DEADLINE


def heard(listener: psycopg.Connection) -> list[str]:
    """Return all that was announced since it was last asked, or began to listen.

    Notifications come in the order of the commits.
    """
    listener.execute("NOTIFY positionstore, 'so far'")
    notes = listener.notifies(timeout=DEADLINE)
    return list(takewhile(lambda text: text != "so far", (note.payload for note in notes)))
