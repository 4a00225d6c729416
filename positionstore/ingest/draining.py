"""A spool that a dead process has left, into the database."""

from collections.abc import Callable
from typing import Final

import structlog

from positionstore.ingest.recorder import Recorder
from positionstore.ingest.spool import DamagedSpoolError, Spool
from positionstore.ingest.spools import tell_damage

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 5_000


def drain(
    spool: Spool, recorder: Recorder, *, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write what a spool holds, in its order, and remove it; return how many inputs that were.

    Then the ends of the connections that it came over are recorded.

    A spool that cannot be read to its end is set aside, and said; what was read before is written.

    Args:
        spool: nobody else uses it; it is let go of, whatever happens.
        recorder: writes, and has nothing in hand.
        progress: is told how many inputs are written so far.

    Raises:
        psycopg.Error: the database cannot be used; the spool stays, without what was written.
        DatabaseUnavailableError: the same.
    """
    drained = 0
    try:
        first, batch = spool.read(0, _AT_ONCE)
        while batch:
            recorder.take(batch)
            recorder.write(everything=True)
            drained += len(batch)
            spool.forget(first + len(batch))
            progress(drained)
            first, batch = spool.read(first + len(batch), _AT_ONCE)
        # Last: a session vouches for nothing that is not in the database.
        recorder.end(spool.testimony())
    except DamagedSpoolError as error:
        tell_damage(error, spool.set_aside())
    except BaseException:
        spool.close()
        raise
    else:
        spool.remove()
        if drained:
            _log.info("spool_drained", spool=spool.folder.name, events=drained)
    return drained
