"""What stands beside the log: stream sessions, the store's identity, quarantine."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from support.factories import moment, rejected
from support.waiting import DEADLINE

from positionstore.errors import WrongEnvironmentError
from positionstore.model.facts import Source
from positionstore.settings import Environment
from positionstore.store import identity, quarantine
from positionstore.store.appender import Appender
from positionstore.store.sessions import StreamSession

Connect = Callable[[], psycopg.Connection]
SESSIONS = """
    SELECT gateway, started_at, last_seen_at, ended_at, end_reason FROM stream_sessions
    ORDER BY session_id
"""


# --- stream sessions -----------------------------------------------------------------------


def test_a_session_is_open_until_its_end_is_known(connection: psycopg.Connection) -> None:
    session = StreamSession.begin(connection, gateway=Source.CUSTOMER, at=moment(0))
    assert connection.execute(SESSIONS).fetchall() == [
        ("customer", moment(0), moment(0), None, None)
    ]
    session.prove_alive(moment(20))
    session.prove_alive(moment(10))
    assert connection.execute(SESSIONS).fetchall() == [
        ("customer", moment(0), moment(20), None, None)
    ]
    session.end(moment(25), "transport close")
    assert connection.execute(SESSIONS).fetchall() == [
        ("customer", moment(0), moment(25), moment(25), "transport close")
    ]


def test_a_session_never_ends_before_its_last_proof_of_life(
    connection: psycopg.Connection,
) -> None:
    session = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(0))
    session.prove_alive(moment(20))
    session.end(moment(15), "x")
    assert connection.execute(SESSIONS).fetchall()[0][2:4] == (moment(20), moment(20))


def test_a_session_that_has_ended_does_not_live_on(connection: psycopg.Connection) -> None:
    """A heartbeat that comes late claims no coverage beyond the end."""
    session = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(0))
    session.end(moment(15), "gone")
    session.prove_alive(moment(99))
    assert connection.execute(SESSIONS).fetchall()[0][2:] == (moment(15), moment(15), "gone")


def test_two_sessions_are_two_rows(connection: psycopg.Connection, connect: Connect) -> None:
    one = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(0))
    two = StreamSession.begin(connect(), gateway=Source.PARTNER, at=moment(1))
    assert one.session_id != two.session_id
    two.end(moment(2), "x")
    assert [row[3] for row in connection.execute(SESSIONS)] == [None, moment(2)]


def test_what_came_over_a_session_adds_up(connection: psycopg.Connection) -> None:
    session = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(0))
    session.count(received=10, duplicates=2, quarantined=1)
    session.count(received=5, duplicates=0, quarantined=0)
    row = connection.execute("SELECT received, duplicates, quarantined FROM stream_sessions")
    assert row.fetchone() == (15, 2, 1)


def test_a_session_is_of_a_gateway(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        StreamSession.begin(connection, gateway=Source.REST, at=moment(0))


# --- the store's identity ------------------------------------------------------------------


@pytest.mark.parametrize("first", list(Environment))
def test_the_first_to_come_decides(connection: psycopg.Connection, first: Environment) -> None:
    (second,) = set(Environment) - {first}
    assert identity.identity(connection) is None
    identity.claim(connection, first)
    identity.claim(connection, first)
    with pytest.raises(WrongEnvironmentError) as raised:
        identity.claim(connection, second)
    assert f"holds {first} data" in str(raised.value)
    assert f"are for {second}" in str(raised.value)
    assert identity.identity(connection) is first


def test_of_two_at_once_one_wins_and_the_other_is_told(connect: Connect) -> None:
    slow, fast = connect(), connect()
    refused: list[WrongEnvironmentError] = []

    def claim() -> None:
        try:
            identity.claim(fast, Environment.PRODUCTION)
        except WrongEnvironmentError as error:
            refused.append(error)

    watching, pid = connect(), fast.info.backend_pid
    with slow.transaction():
        identity.claim(slow, Environment.SANDBOX)
        thread = threading.Thread(target=claim)
        thread.start()
        while not watching.execute(
            "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
        ).fetchone():
            assert thread.is_alive()
    thread.join(DEADLINE)
    assert len(refused) == 1
    assert identity.identity(watching) is Environment.SANDBOX


def test_a_store_has_one_identity_and_no_third(connection: psycopg.Connection) -> None:
    identity.claim(connection, Environment.SANDBOX)
    for row in ("(true, 'production')", "(false, 'production')"):
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(f"INSERT INTO store_identity (only_row, environment) VALUES {row}")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE store_identity SET environment = 'staging'")


# --- quarantine ----------------------------------------------------------------------------


def fill(appender: Appender, count: int) -> None:
    appender.append([rejected(f"not json {n:05}".encode(), at=n) for n in range(count)])


def test_what_waits_is_listed_the_oldest_first(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fill(appender, 5)
    listed = quarantine.waiting(connection, at_most=3)
    assert [entry.received_at for entry in listed] == [moment(0), moment(1), moment(2)]
    assert {(e.reason, e.source, e.length) for e in listed} == {("not_json", "partner", 14)}
    assert all("not JSON" in entry.detail for entry in listed)


def test_an_entry_is_shown_whole(connection: psycopg.Connection, appender: Appender) -> None:
    raw = bytes(range(256))
    appender.append([rejected(raw)])
    (listed,) = quarantine.waiting(connection)
    kept = quarantine.show(connection, listed.quarantine_id)
    assert kept is not None
    assert (kept.raw, kept.reason, kept.released_at) == (raw, "not_utf8", None)
    assert quarantine.show(connection, listed.quarantine_id + 1) is None


def test_a_retry_takes_what_waits_in_pages(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fill(appender, 1_203)
    seen: list[int] = []
    while page := quarantine.to_retry(connection, after=seen[-1] if seen else 0):
        assert len(page) <= 500
        seen += [entry.quarantine_id for entry in page]
    assert seen == sorted(set(seen))
    assert len(seen) == 1_203


def test_a_page_of_a_retry_has_few_long_inputs(
    connection: psycopg.Connection, appender: Appender
) -> None:
    mebibyte = 1024 * 1024
    lengths = [1, 20 * mebibyte, 1, 7 * mebibyte, mebibyte, 1, 3 * mebibyte]
    appender.append([rejected(b"%d" % n + bytes(length)) for n, length in enumerate(lengths)])
    pages = []
    after = 0
    while page := quarantine.to_retry(connection, after=after):
        after = page[-1].quarantine_id
        pages.append([len(entry.raw) - 1 for entry in page])
    assert pages == [lengths[:2], lengths[2:5], lengths[5:]]


def test_a_retry_may_name_what_it_wants(connection: psycopg.Connection, appender: Appender) -> None:
    fill(appender, 5)
    numbers = [entry.quarantine_id for entry in quarantine.waiting(connection)]
    named = quarantine.to_retry(connection, only=[numbers[3], numbers[1], 10**9])
    assert [entry.quarantine_id for entry in named] == [numbers[1], numbers[3]]
    assert quarantine.to_retry(connection, only=[]) == []


def test_what_was_released_waits_no_more_and_is_not_forgotten(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fill(appender, 3)
    appender.append([rejected(b"\xff")])
    assert quarantine.count_waiting(connection) == {"not_json": 3, "not_utf8": 1}
    first = quarantine.waiting(connection)[0].quarantine_id
    quarantine.release(connection, [first])
    assert quarantine.count_waiting(connection) == {"not_json": 2, "not_utf8": 1}
    assert first not in [entry.quarantine_id for entry in quarantine.waiting(connection)]
    assert first in [e.quarantine_id for e in quarantine.waiting(connection, released_too=True)]
    assert quarantine.to_retry(connection, only=[first]) == []
    kept = quarantine.show(connection, first)
    assert kept is not None
    assert kept.released_at is not None


def test_releasing_again_keeps_the_first_moment(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fill(appender, 1)
    (entry,) = quarantine.waiting(connection)
    quarantine.release(connection, [entry.quarantine_id])
    before = quarantine.show(connection, entry.quarantine_id)
    quarantine.release(connection, [entry.quarantine_id])
    assert quarantine.show(connection, entry.quarantine_id) == before


def test_one_input_for_two_reasons_is_two_entries(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([rejected(b"x")])
    connection.execute(
        "INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)"
        " SELECT digest, 'internal_error', detail, source, received_at, raw FROM quarantine"
    )
    appender.append([rejected(b"x")])
    assert quarantine.count_waiting(connection) == {"internal_error": 1, "not_json": 1}
