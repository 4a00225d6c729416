"""Says that inputs go to quarantine: the first once, and where all of them do."""

from typing import Final

import structlog

from positionstore.model.facts import Rejected
from positionstore.redaction import redacted
from positionstore.store.status import NONE_UNDERSTOOD

_log = structlog.get_logger(__name__)

_REMEDY: Final = (
    "See `positionstore quarantine list`; after an upgrade `quarantine retry` reads them."
)


class Rejections:
    """Watches what a process reads of its gateway.

    The first input that goes to quarantine is logged, and no other: a gateway that sends nothing
    else would fill the log. Ten in a row without one that is understood are an error, which is
    logged once, until one is understood.
    """

    def __init__(self) -> None:
        self._is_told = False
        self._in_a_row = 0

    def see(self, what: object) -> None:
        """Look at an input, as it was understood."""
        if not isinstance(what, Rejected):
            if self._in_a_row >= NONE_UNDERSTOOD:
                _log.info("inputs_understood_again")
            self._in_a_row = 0
            return
        self._in_a_row += 1
        said = {"reason": str(what.reason), "detail": redacted(what.detail), "remedy": _REMEDY}
        if self._in_a_row == NONE_UNDERSTOOD:
            _log.error("every_input_quarantined", in_a_row=self._in_a_row, **said)
        if not self._is_told:
            self._is_told = True
            _log.warning("input_quarantined", **said)
