"""Writing batches: an input that the database refuses costs no other input."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

import msgspec
import psycopg

from positionstore.log import get_logger
from positionstore.model.facts import SNAPSHOT_TYPE, Reason, Received, Rejected
from positionstore.store.appender import Appended, Appender
from positionstore.store.db_errors import ErrorAction, classify
from positionstore.store.pipeline import Pipeline

_log = get_logger(__name__)


class BatchWriter:
    """Takes batches, and keeps them until they are in the log, or in quarantine.

    After an error it starts over, with new connections, with all that it keeps; nothing that was
    handed over twice ends up in the log twice. Not for two threads at once.

    Args:
        connect: opens a connection to the store; called when one is needed.
        batch_size: how many inputs make a transaction that waits no longer; asked before each.
            While it is committed, as many again are staged at most.
        smallest: how many make one where no commit is under way.
        committed: called with each transaction, in their order, in the caller's thread.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        *,
        batch_size: Callable[[], int],
        smallest: int = 1,
        committed: Callable[[Appended], None],
    ) -> None:
        self._connect = connect
        self._new_pipeline = partial(
            Pipeline,
            connect,
            batch_size=batch_size,
            smallest=smallest,
            committed=self._committed,
        )
        self._on_committed = committed
        self._pending: deque[Sequence[Received]] = deque()
        self._pending_count = 0
        self._pipeline: Pipeline | None = None
        self._staged = 0

    @property
    def pending(self) -> int:
        """How many inputs were taken and are not committed yet."""
        return self._pending_count

    def take(self, batch: Sequence[Received]) -> None:
        """Take responsibility for a batch. This never fails, and writes nothing yet."""
        if batch:
            self._pending.append(batch)
            self._pending_count += len(batch)

    def write(self, *, everything: bool) -> None:
        """Bring what is pending on its way into the log; while it is committed, more may come.

        What the database will not have, though it is an event, goes to quarantine; the rest goes
        into the log.

        Args:
            everything: whether to wait until nothing is pending.

        Raises:
            psycopg.Error: the database cannot be used just now; nothing is lost, call it again.
            DatabaseUnavailableError: the same.
        """
        try:
            self._advance(everything=everything)
        except Exception as error:
            self.drop()
            if classify(error) is not ErrorAction.SPLIT:
                raise
            self._write_around()

    def drop(self) -> None:
        """Let go of the database; what is not committed is kept."""
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline, self._staged = None, 0

    def forget(self) -> None:
        """Let go of the database, and of what is not committed, which the caller keeps."""
        self.drop()
        self._pending.clear()
        self._pending_count = 0

    def _advance(self, *, everything: bool) -> None:
        if not self._pending:
            return
        pipeline = self._pipeline = self._pipeline or self._new_pipeline()
        while self._staged < len(self._pending):
            pipeline.stage(self._pending[self._staged])
            self._staged += 1
            if not everything:
                pipeline.advance()
        if everything:
            pipeline.finish()

    def _committed(self, result: Appended) -> None:
        """Account for a transaction: its batches are the oldest of those that are pending."""
        left = result.received
        while left > 0:
            left -= len(self._pending.popleft())
            self._staged = max(0, self._staged - 1)
        self._pending_count -= result.received
        self._on_committed(result)

    def _write_around(self) -> None:
        """Write all that is pending, each batch by itself: one of them is refused.

        The input that is to blame is found by bisection and goes to quarantine.
        """
        with closing(self._connect()) as connection:
            appender = Appender(connection)
            while self._pending:
                batch = self._pending[0]
                try:
                    result = appender.append(batch)
                except Exception as error:
                    if classify(error) is not ErrorAction.SPLIT:
                        raise
                    appender.rollback()
                    parts = _without_blame(batch, error)
                    self._pending.popleft()
                    self._pending.extendleft(reversed(parts))
                else:
                    self._committed(result)


def _without_blame(batch: Sequence[Received], error: Exception) -> list[Sequence[Received]]:
    """Return the halves of a batch that was refused; of a lone event, what quarantine keeps."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    (received,) = batch
    if isinstance(received.what, Rejected):
        raise error
    if isinstance(error, psycopg.Error):
        reason = Reason.REFUSED_BY_DATABASE
        said = error.diag.message_primary or str(error)
    else:
        reason, said = Reason.INTERNAL_ERROR, f"{error.__class__.__name__}: {error}"
    _log.error("event_not_appended", reason=reason, error=said)
    refused = Rejected(_whole(received.what.envelope, received), reason, said)
    return [[Received(refused, received.received_at, received.source)]]


def _whole(envelope: bytes, received: Received) -> bytes:
    """Return what quarantine keeps of a fact; of a snapshot a row of a log.

    What a snapshot overrules is not in its envelope, and a retry could not take it without.
    """
    before = received.supersedes_before
    if before is None:
        return envelope
    head = msgspec.json.encode(
        {
            "type": SNAPSHOT_TYPE,
            "received_at": received.received_at.isoformat(),
            "source": received.source,
            "supersedes_before": before.isoformat(),
        }
    )
    return head[:-1] + b',"envelope":' + envelope + b"}"
