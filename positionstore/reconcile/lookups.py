"""Positions that are asked for by their id, one by one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Final

from positionstore.dimes.access import RestCredentials
from positionstore.dimes.rest import OutOfReachError, RestClient
from positionstore.errors import CredentialsError, DoubtfulClockError, GatewayError
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.findings import Findings
from positionstore.reconcile.report import Discrepancy, Resolution
from positionstore.reconcile.server_clock import ServerClock
from positionstore.reconcile.store_side import Answer, Mismatch
from positionstore.reconcile.together import gather
from positionstore.store.runs import FieldDifference

GIVE_UP_AFTER: Final = 10
"""Failures in a row, each of which has used up a request's patience."""

_AT_A_TIME: Final = 100


@dataclass(frozen=True, slots=True)
class Recheck:
    """That a position is to be looked at by its id.

    Attributes:
        access: whose it is.
        mismatch: what differs; None where no list showed it.
        overtaken: whether a snapshot of it was appended, and an event arrived meanwhile.
    """

    access: RestCredentials
    mismatch: Mismatch | None = None
    overtaken: bool = False


class _Unanswered(Enum):
    """Why there is no position: there is none, or it is not known."""

    ABSENT = auto()
    UNKNOWN = auto()


class PointLookups:
    """Asks for positions by their id, and gives up where nothing answers any more.

    Args:
        rest: the REST API.
        findings: what becomes of what differs.
        server_clock: gets the as-of of each answer.
        settle_window: how long after an event a difference is left to settle by itself.
        progress: is called after each wave of questions.

    Attributes:
        unanswered: the positions for which no answer came.
        not_asked: how often nothing was asked, because nothing answers any more.
    """

    def __init__(
        self,
        rest: RestClient,
        findings: Findings,
        server_clock: ServerClock,
        *,
        settle_window: timedelta,
        progress: Callable[[], None],
    ) -> None:
        self.unanswered: set[str] = set()
        self.not_asked = 0
        self._rest = rest
        self._findings = findings
        self._server_clock = server_clock
        self._settle_window = settle_window
        self._progress = progress
        self._failures_in_a_row = 0

    async def ask(self, due: dict[str, Recheck]) -> dict[str, Recheck]:
        """Ask for each position by id, repair what differs; return what is still in flux."""
        unsettled: dict[str, Recheck] = {}
        names = list(due)
        for first in range(0, len(names), _AT_A_TIME):
            wave = names[first : first + _AT_A_TIME]
            asked = await gather([self._ask_one(due[name].access, name) for name in wave])
            answers = [each for each in asked if isinstance(each, tuple)]
            absent = {
                name: due[name].mismatch
                for name, each in zip(wave, asked, strict=True)
                if each is _Unanswered.ABSENT
            }
            equal = {listed.position_id for listed, _ in answers}
            differing: list[Mismatch] = []
            absences: list[Mismatch] = []
            for mismatch in await self._findings.in_store(partial(self._examine, answers, absent)):
                equal.discard(mismatch.position_id)
                if mismatch.is_in_flux(self._settle_window):
                    unsettled[mismatch.position_id] = replace(
                        due[mismatch.position_id], mismatch=mismatch
                    )
                else:
                    (differing if mismatch.position_id not in absent else absences).append(mismatch)
            for mismatch in await self._findings.repair(differing):
                access = due[mismatch.position_id].access
                unsettled[mismatch.position_id] = Recheck(access, mismatch, overtaken=True)
            await self._findings.add([each.concluded(Resolution.UNRESOLVED) for each in absences])
            hidden = {
                name: (due[name].mismatch, each)
                for name, each in zip(wave, asked, strict=True)
                if isinstance(each, OutOfReachError)
            }
            await self._findings.add(await self._findings.in_store(partial(self._hidden, hidden)))
            overtaken = [
                due[name].mismatch for name in wave if name in equal and due[name].overtaken
            ]
            await self._findings.add(
                [each.concluded(Resolution.REPAIRED) for each in overtaken if each]
            )
            self._progress()
        return unsettled

    def gives_up(self) -> bool:
        """Whether nothing answers any more; each further request would use up its patience."""
        if self._failures_in_a_row < GIVE_UP_AFTER:
            return False
        self.not_asked += 1
        return True

    def answered(self) -> None:
        """Something has answered."""
        self._failures_in_a_row = 0

    def failed(self, error: GatewayError | CredentialsError) -> None:
        """Something has not; a refusal is an answer."""
        if isinstance(error, GatewayError):
            self._failures_in_a_row += 1

    def _examine(
        self, answers: Sequence[Answer], absent: Mapping[str, Mismatch | None]
    ) -> list[Mismatch]:
        # A list showed an ended position that the API then did not know: nothing can be said of it.
        contradictory = [each for each in absent.values() if each is not None and each.ended]
        return [
            *self._findings.store_side.examine(answers),
            *self._findings.store_side.absences(list(absent), self._server_clock.now()),
            *contradictory,
        ]

    def _hidden(
        self, hidden: Mapping[str, tuple[Mismatch | None, OutOfReachError]]
    ) -> list[Discrepancy]:
        """Return what is to be said of positions that cannot be had one by one.

        One that a list showed keeps its difference. One that no list showed is worth a word as long
        as the store has it live.
        """
        known = [each.concluded(Resolution.UNRESOLVED) for each, _ in hidden.values() if each]
        unseen = [name for name, (mismatch, _) in hidden.items() if mismatch is None]
        return known + [
            Discrepancy(
                each.position_id,
                DiscrepancyKind.UNREADABLE,
                (FieldDifference("", None, str(hidden[each.position_id][1])),),
                Resolution.UNRESOLVED,
            )
            for each in self._findings.store_side.absences(unseen, self._server_clock.now())
        ]

    async def _ask_one(
        self, access: RestCredentials, position_id: str
    ) -> Answer | _Unanswered | OutOfReachError:
        if self.gives_up():
            self.unanswered.add(position_id)
            return _Unanswered.UNKNOWN
        try:
            answer = await self._rest.position(access, position_id)
        except OutOfReachError as error:
            # It is one position that is unresolved; of the others nothing is known by that.
            if error.answered:
                self.answered()
            else:
                self.failed(error)
            return error
        except DoubtfulClockError as error:
            # The run says it once, of all of them.
            self.failed(error)
            self.unanswered.add(position_id)
            self._server_clock.doubtful += 1
            return _Unanswered.UNKNOWN
        except (GatewayError, CredentialsError) as error:
            self.failed(error)
            self.unanswered.add(position_id)
            self._findings.report.errors.append(f"{position_id} was not seen: {error}")
            return _Unanswered.UNKNOWN
        self.answered()
        if answer is None:
            return _Unanswered.ABSENT
        self._findings.report.note_as_of(answer[1])
        self._server_clock.note(answer[1])
        return answer
