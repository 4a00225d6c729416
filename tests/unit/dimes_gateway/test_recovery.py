"""When a session is asked for, and how often."""

from datetime import UTC, datetime, timedelta

import pytest
import structlog

from positionstore.dimes.recovery import MOST_PATIENCE, Recovered, RecoverySession, recover
from positionstore.errors import CredentialsError, GatewayError

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SESSION = RecoverySession("pid", "offset", NOW, 45.0)
FETCHED = Recovered(NOW, NOW + timedelta(seconds=9), 3)


class Gateway:
    """Answers attempts as a test says, and writes down what happens in which order."""

    def __init__(self, *answers: Recovered | Exception | None) -> None:
        self.answers = list(answers)
        self.happened: list[str | float] = []

    async def attempt(self, session: RecoverySession) -> Recovered | None:
        assert session.pid == "pid"
        self.happened.append("attempt")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.happened.append(seconds)

    async def recover(self, session: RecoverySession = SESSION) -> Recovered | None:
        return await recover(
            session,
            self.attempt,
            sleep=self.sleep,
            on_first_try=lambda: self.happened.append("hooks"),
        )


async def test_what_is_recovered_at_once_is_asked_for_once() -> None:
    gateway = Gateway(FETCHED)
    with structlog.testing.capture_logs() as logs:
        assert await gateway.recover() == FETCHED
    assert gateway.happened == ["attempt", "hooks"]
    assert [(line["event"], line["events"]) for line in logs] == [("session_recovered", 3)]


@pytest.mark.parametrize("first", [None, GatewayError("busy"), CredentialsError("no")])
async def test_where_the_server_believes_in_the_old_connection_it_is_asked_once_more(
    first: Exception | None,
) -> None:
    gateway = Gateway(first, FETCHED)
    assert await gateway.recover() == FETCHED
    assert gateway.happened == ["attempt", "hooks", 45.0, "attempt"]


async def test_what_is_not_remembered_is_asked_for_twice_and_not_recovered() -> None:
    gateway = Gateway(None, None)
    with structlog.testing.capture_logs() as logs:
        assert await gateway.recover() is None
    assert gateway.happened == ["attempt", "hooks", 45.0, "attempt"]
    assert [line["event"] for line in logs] == ["session_not_recovered"]


async def test_no_server_is_waited_for_without_end() -> None:
    gateway = Gateway(None, None)
    await gateway.recover(RecoverySession("pid", "offset", NOW, 1e9))
    assert gateway.happened[2] == MOST_PATIENCE


def test_stretches_that_one_connection_joins_are_one() -> None:
    later = Recovered(NOW + timedelta(seconds=5), NOW + timedelta(seconds=60), 4)
    both = Recovered(NOW, NOW + timedelta(seconds=60), 7)
    assert FETCHED.joined(later) == later.joined(FETCHED) == both
    assert FETCHED.joined(None) == FETCHED


def stretch(since: int, until: int, events: int) -> Recovered:
    return Recovered(NOW + timedelta(seconds=since), NOW + timedelta(seconds=until), events)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ((0, 5, 1), (3, 9, 2), (0, 9, 3)),
        ((3, 9, 2), (0, 5, 1), (0, 9, 3)),
        ((0, 3, 1), (3, 9, 2), (0, 9, 3)),
        ((0, 3, 1), (4, 9, 2), (4, 9, 3)),
        ((4, 9, 2), (0, 3, 1), (4, 9, 3)),
    ],
)
def test_two_stretches_vouch_for_nothing_in_between(
    one: tuple[int, int, int], other: tuple[int, int, int], both: tuple[int, int, int]
) -> None:
    assert stretch(*one).joined(stretch(*other)) == stretch(*both)
