"""Folding the log again, to compare the fold with the rows, and to replace them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from support.factories import NOON, event, moment, received, snapshot

from positionstore.errors import DatabaseUnavailableError, PositionstoreError
from positionstore.model.facts import Received, Retraction
from positionstore.store import fold
from positionstore.store.appender import Appender
from positionstore.store.fold import Difference
from positionstore.store.locks import APPEND_LOCK, REBUILD_LOCK
from positionstore.store.projection import rebuild, verify

Connect = Callable[[], psycopg.Connection]

EVERYTHING = "SELECT * FROM positions ORDER BY position_id"
COUNT = 45


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "SLICE", 10)


def history() -> Iterator[Received]:
    for n in range(COUNT):
        position = f"dm_pos_{n:02}"
        yield event(f"evt_{n}_a", position=position, at=n, body={"market_title": "before"})
        if n % 2:
            yield event(
                f"evt_{n}_b", position=position, kind="position.closed", status="closed", at=n + 5
            )
        yield event(f"evt_{n}_c", position=position, at=n + 9, body={"market_title": "as it is"})


@pytest.fixture
def filled(appender: Appender) -> Appender:
    """A log of some positions, snapshots among its facts."""
    appender.append(list(history()))
    snapshots = [snapshot(position=f"dm_pos_{n:02}", as_of=n + 100) for n in range(0, COUNT, 3)]
    appender.append_snapshots(snapshots, NOON)
    return appender


def rows(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(EVERYTHING).fetchall()


def tamper(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE positions SET market_title = 'tampered', status = 'closed'")


def rename(connection: psycopg.Connection, old: str, new: str) -> None:
    """Let the row of a position be that of another."""
    connection.execute(
        "CREATE TEMPORARY TABLE renamed AS SELECT * FROM positions WHERE position_id = %s", [old]
    )
    connection.execute("UPDATE pg_temp.renamed SET position_id = %s", [new])
    connection.execute("INSERT INTO positions SELECT * FROM pg_temp.renamed")
    connection.execute("DELETE FROM positions WHERE position_id = %s", [old])


def leftovers(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute("""
        SELECT 'lock' FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE locktype = 'advisory' AND datname = current_database()
    """).fetchall()


# --- verify --------------------------------------------------------------------------------


def test_an_empty_store_is_right(connection: psycopg.Connection) -> None:
    assert verify(connection) == []
    assert rebuild(connection) == []


def test_what_the_appender_folded_is_right(
    connection: psycopg.Connection, filled: Appender
) -> None:
    assert len(rows(connection)) == COUNT
    assert verify(connection) == []


def test_every_kind_of_difference_is_found_and_nothing_is_changed(
    connection: psycopg.Connection, filled: Appender
) -> None:
    connection.execute("DELETE FROM positions WHERE position_id = 'dm_pos_01'")
    connection.execute("""
        UPDATE positions SET entry_price_usd_pips = 1, data = '{}', source = 'import'
        WHERE position_id = 'dm_pos_02'
    """)
    connection.execute("UPDATE positions SET misfit_fields = '{x}' WHERE position_id = 'dm_pos_04'")
    connection.execute(
        "UPDATE positions SET supersedes_before = now() WHERE position_id = 'dm_pos_05'"
    )
    connection.execute("UPDATE positions SET verified_at = now() WHERE position_id = 'dm_pos_06'")
    rename(connection, "dm_pos_07", "nobody")
    before = rows(connection)
    assert verify(connection) == [
        Difference("dm_pos_01", "missing", []),
        Difference("dm_pos_02", "different", ["data", "entry_price_usd_pips", "source"]),
        Difference("dm_pos_04", "different", ["misfit_fields"]),
        Difference("dm_pos_05", "different", ["supersedes_before"]),
        Difference("dm_pos_07", "missing", []),
        Difference("nobody", "unfounded", []),
    ]
    assert rows(connection) == before
    assert leftovers(connection) == []


def test_every_column_but_verified_at_is_compared(
    connection: psycopg.Connection, filled: Appender
) -> None:
    columns = connection.execute("""
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'positions'::regclass AND attnum > 0
            AND attname NOT IN ('position_id', 'verified_at')
    """).fetchall()
    other = {
        "text": "'other'", "bigint": "4711", "numeric(38,0)": "4711", "boolean": "true",
        "timestamp with time zone": "'1999-01-01Z'", "jsonb": "'[]'", "text[]": "'{other}'",
    }  # fmt: skip
    for n, (name, kind) in enumerate(columns):
        connection.execute(
            f"UPDATE positions SET {name} = {other[kind]} WHERE position_id = %s",
            [f"dm_pos_{n % COUNT:02}"],
        )
    assert sorted(name for d in verify(connection) for name in d.columns) == sorted(
        name for name, _ in columns
    )


@pytest.mark.not_on_citus("workers look at theirs in one step, each in a snapshot of its own")
def test_verify_sees_one_moment_while_appenders_go_on(
    connection: psycopg.Connection, filled: Appender
) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        filled.append([event(f"evt_new_{done}", position=f"dm_new_{done}")])
        filled.append([event(f"evt_more_{done}", position="dm_pos_44", at=500 + done)])

    assert verify(connection, progress=progress) == []
    assert told == [(10, 45), (20, 45), (30, 45), (40, 45), (45, 45)]
    assert verify(connection) == []
    assert len(rows(connection)) == COUNT + 5


def test_verify_that_is_interrupted_leaves_nothing(
    connection: psycopg.Connection, filled: Appender
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(connection, progress=interrupt)
    assert leftovers(connection) == []
    assert verify(connection) == []


class Beside:
    """Opens the second session, and tells when that has begun with its half."""

    def __init__(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[psycopg.Connection] = []
        self._begun = threading.Event()
        self._connect = connect
        self._monkeypatch = monkeypatch

    def __call__(self) -> psycopg.Connection:
        other = self._connect()
        self.opened.append(other)

        def cursor(name: str = "", **how: Any) -> object:
            if name:
                self.begin(other)
                self._begun.set()
            return psycopg.Connection.cursor(other, name, **how)

        self._monkeypatch.setattr(other, "cursor", cursor)
        return other

    def begin(self, other: psycopg.Connection) -> None:
        """Do something as it begins."""

    def wait(self, *_: object) -> None:
        """Wait until it has begun; the first session leaves it something to do."""
        assert self._begun.wait(60)


@pytest.mark.not_on_citus("workers share the work, and no second session is opened")
@pytest.mark.parametrize("work", [verify, rebuild])
def test_a_second_session_does_half_of_the_work(
    connection: psycopg.Connection,
    connect: Connect,
    filled: Appender,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[..., list[Difference]],
) -> None:
    """It finds its half of the differences, as of the moment of the first one's snapshot."""
    beside = Beside(connect, monkeypatch)
    told: list[tuple[int, int]] = []

    def another() -> psycopg.Connection:
        filled.append([event("evt_between", position="dm_pos_44", at=500, status="settled")])
        return beside()

    def progress(done: int, total: int) -> None:
        beside.wait()
        told.append((done, total))

    connection.execute("UPDATE positions SET market_title = 'tampered' WHERE position_id <> 'x'")
    found = work(connection, progress=progress, another=another)
    assert [each.position_id for each in found][:44] == [f"dm_pos_{n:02}" for n in range(44)]
    assert told == sorted(set(told))
    assert told[-1] == (45, 45)
    (other,) = beside.opened
    assert other.closed
    assert leftovers(connection) == []
    assert len(verify(connection, another=connect)) == (44 if work is verify else 0)


def test_rows_that_are_all_gone_are_made_again_in_two_sessions(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    before = rows(connection)
    connection.execute("DELETE FROM positions")
    told: list[tuple[int, int]] = []
    found = rebuild(connection, progress=lambda *done: told.append(done), another=connect)
    assert {each.kind for each in found} == {"missing"}
    assert rows(connection) == before
    assert told[-1] == (45, 45)


def test_a_fact_that_does_not_count_is_no_reason_to_doubt_a_row(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    """Neither a retracted one nor one that a snapshot overrules, though it outranks the others."""
    filled.append(
        [event("evt_late", position=f"dm_pos_{n:02}", at=10_000 + n) for n in range(COUNT)]
    )
    filled.append_retractions(
        [Retraction(f"dm_pos_{n:02}", "evt_late", "A clock.", NOON) for n in range(0, COUNT, 2)],
        NOON,
    )
    filled.append_snapshots(
        [snapshot(position=f"dm_pos_{n:02}", as_of=50_000) for n in range(0, COUNT, 3)], NOON
    )
    filled.append([event("evt_only", position="dm_pos_none")])
    filled.append_retractions([Retraction("dm_pos_none", "evt_only", "A clock.", NOON)], NOON)
    assert verify(connection, another=connect) == []
    connection.execute("DELETE FROM positions WHERE position_id IN ('dm_pos_02', 'dm_pos_03')")
    assert verify(connection, another=connect) == [
        Difference("dm_pos_02", "missing", []),
        Difference("dm_pos_03", "missing", []),
    ]
    tamper(connection)
    assert len(rebuild(connection, another=connect)) == COUNT
    assert verify(connection) == []


@pytest.mark.parametrize("work", [verify, rebuild])
def test_without_a_second_session_one_does_all_of_the_work(
    connection: psycopg.Connection, filled: Appender, work: Callable[..., list[Difference]]
) -> None:
    def full() -> psycopg.Connection:
        raise DatabaseUnavailableError("It takes no more connections.")

    tamper(connection)
    assert len(work(connection, another=full)) == COUNT


@pytest.mark.not_on_citus("workers share the work, and no second session is opened")
def test_a_second_session_that_keeps_us_waiting_is_done_without(
    connection: psycopg.Connection,
    connect: Connect,
    filled: Appender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pooler lets a client wait that it has no session for."""
    has_one, done = threading.Event(), threading.Event()
    opened: list[psycopg.Connection] = []

    def waiting() -> psycopg.Connection:
        assert has_one.wait(60)
        late = connect()

        def close() -> None:
            psycopg.Connection.close(late)
            done.set()

        opened.append(late)
        monkeypatch.setattr(late, "close", close)
        return late

    tamper(connection)
    assert len(verify(connection, another=waiting)) == COUNT
    has_one.set()
    assert done.wait(60)
    assert opened[0].closed


@pytest.mark.parametrize("work", [verify, rebuild])
def test_a_fact_that_gives_no_row_is_an_error(
    connection: psycopg.Connection, filled: Appender, work: Callable[..., list[Difference]]
) -> None:
    """What was not compared is not said to be equal."""
    shown = connection.execute("SELECT pg_get_viewdef('fact_positions'::regclass)").fetchone()
    assert shown is not None
    connection.execute(
        "CREATE OR REPLACE VIEW fact_positions AS SELECT * FROM ("
        f"{shown[0].rstrip(';')}) whole WHERE position_id <> 'dm_pos_07'"
    )
    assert work(connection) == [], "the rows are proved right without it"
    tamper(connection)
    before = rows(connection)
    with pytest.raises(PositionstoreError, match="gives no row; nothing was changed"):
        work(connection)
    assert rows(connection) == before


@pytest.mark.parametrize("work", [verify, rebuild])
@pytest.mark.parametrize("broken", ["fold_facts", "ranked_facts"])
@pytest.mark.parametrize(
    "doubt", ["UPDATE positions SET last_event_id = 'evt_other'", "DELETE FROM positions"]
)
def test_a_fold_that_gives_nothing_is_an_error(
    connection: psycopg.Connection,
    filled: Appender,
    work: Callable[..., list[Difference]],
    broken: str,
    doubt: str,
) -> None:
    """A row is not taken out, nor passed over, because its facts are not found."""
    connection.execute(f"{doubt} WHERE position_id = 'dm_pos_07'")
    before = rows(connection)
    if broken == "fold_facts":
        connection.execute("""
            CREATE OR REPLACE FUNCTION fold_facts(
                only_positions text[] DEFAULT NULL,
                valid_at timestamptz DEFAULT 'infinity',
                known_at timestamptz DEFAULT 'infinity'
            )
            RETURNS TABLE (position_id text, seq bigint, supersedes_before timestamptz)
            LANGUAGE sql STABLE AS 'SELECT NULL::text, NULL::bigint, NULL::timestamptz LIMIT 0'
        """)
    else:
        shown = connection.execute("SELECT pg_get_viewdef('ranked_facts'::regclass)").fetchone()
        assert shown is not None
        connection.execute(
            "CREATE OR REPLACE VIEW ranked_facts AS SELECT * FROM ("
            f"{shown[0].rstrip(';')}) whole LIMIT 0"
        )
    with pytest.raises(PositionstoreError, match="folding them gave no position"):
        work(connection)
    assert rows(connection) == before


@pytest.mark.not_on_citus("workers share the work, and no second session is opened")
def test_a_second_session_that_is_lost_is_an_error(
    connection: psycopg.Connection,
    connect: Connect,
    filled: Appender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it had found is not known."""
    tamper(connection)
    before = rows(connection)
    beside, killer = Beside(connect, monkeypatch), connect()

    def kill(other: psycopg.Connection) -> None:
        killer.execute("SELECT pg_terminate_backend(%s, 60000)", [other.info.backend_pid])

    monkeypatch.setattr(beside, "begin", kill)
    with pytest.raises(psycopg.OperationalError):
        rebuild(connection, progress=beside.wait, another=beside)
    assert rows(connection) == before
    assert leftovers(connection) == []
    assert len(rebuild(connection, another=connect)) == COUNT


# --- rebuild -------------------------------------------------------------------------------


def test_rebuild_puts_right_what_was_tampered_with_and_says_so(
    connection: psycopg.Connection, filled: Appender
) -> None:
    before = rows(connection)
    connection.execute("DELETE FROM positions WHERE position_id < 'dm_pos_05'")
    connection.execute("UPDATE positions SET status = 'x' WHERE position_id = 'dm_pos_10'")
    rename(connection, "dm_pos_11", "nobody")
    found = verify(connection)
    assert len(found) == 5 + 1 + 2
    assert rebuild(connection) == found
    assert rows(connection) == before
    assert rebuild(connection) == []
    assert leftovers(connection) == []


def test_rows_that_are_right_are_not_touched(
    connection: psycopg.Connection, filled: Appender
) -> None:
    connection.execute("UPDATE positions SET status = 'x' WHERE position_id = 'dm_pos_10'")
    versions = "SELECT position_id, xmin::text FROM positions ORDER BY 1"
    before = connection.execute(versions).fetchall()
    rebuild(connection)
    after = connection.execute(versions).fetchall()
    changed = [new[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["dm_pos_10"]


def test_verified_at_survives(connection: psycopg.Connection, filled: Appender) -> None:
    connection.execute("UPDATE positions SET verified_at = %s", [moment(7)])
    tamper(connection)
    rebuild(connection)
    counts = "SELECT count(*) FROM positions WHERE verified_at = %s"
    assert connection.execute(counts, [moment(7)]).fetchone() == (COUNT,)
    assert verify(connection) == []


def test_appenders_go_on_meanwhile(connection: psycopg.Connection, filled: Appender) -> None:
    """What comes while it builds is in the result: of old positions, new ones, of snapshots."""

    def progress(done: int, total: int) -> None:
        filled.append([event(f"evt_new_{done}", position=f"dm_new_{done}")])
        filled.append([event(f"evt_more_{done}", position="dm_pos_01", at=500, status="settled")])
        filled.append_snapshots([snapshot(position="dm_pos_03", as_of=500 + done)], NOON)

    tamper(connection)
    rebuild(connection, progress=progress)
    assert verify(connection) == []
    assert len(rows(connection)) == COUNT + 5
    row = connection.execute("SELECT status FROM positions WHERE position_id = 'dm_pos_01'")
    assert row.fetchone() == ("settled",)


def test_an_appender_that_commits_just_before_the_swap_is_not_forgotten(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    """The rebuild waits for the appenders' lock; what its holder commits has to be seen."""
    holder, own = connect(), connect()
    pid = own.info.backend_pid
    own.execute("SET default_transaction_isolation = 'repeatable read'")  # an operator's choice
    tamper(connection)
    with holder.transaction():
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        thread = threading.Thread(target=lambda: rebuild(own))
        thread.start()
        while not connection.execute(
            "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
        ).fetchone():
            assert thread.is_alive()
        holder.execute("""
            INSERT INTO events (event_id, position_id, type, status, created_at, received_at,
                source, envelope)
            SELECT 'evt_last', position_id, 'position.settled', 'settled', '2026-08-01Z',
                received_at, source, envelope
            FROM events WHERE position_id = 'dm_pos_01' LIMIT 1
        """)
    thread.join(60)
    row = connection.execute("SELECT status FROM positions WHERE position_id = 'dm_pos_01'")
    assert row.fetchone() == ("settled",)
    assert verify(connection) == []


@pytest.mark.not_on_citus("what is committed shows on one worker after the other")
def test_readers_see_what_was_or_what_is_and_never_less(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    seen: set[tuple[object, ...]] = set()
    done = threading.Event()
    reader, errors = connect(), []

    def read() -> None:
        try:
            while not done.is_set():
                row = reader.execute(
                    "SELECT count(*), count(*) FILTER (WHERE market_title = 'tampered')"
                    " FROM positions"
                ).fetchone()
                seen.add(row or ())
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    tamper(connection)
    thread.start()
    for _ in range(10):
        rebuild(connection)
        tamper(connection)
    done.set()
    thread.join(60)
    assert errors == []
    assert seen <= {(COUNT, 0), (COUNT, COUNT)}
    assert seen


def test_a_new_status_holds_for_the_whole_past(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append(
        [
            event("evt_1", status="sublimated", at=0),
            event("evt_2", status="open", at=10),
            event("evt_3", status="sublimated", at=0, position="dm_pos_2"),
        ]
    )
    phases = "SELECT position_id, status, phase FROM positions ORDER BY 1"
    assert connection.execute(phases).fetchall() == [
        ("dm_pos_1", "open", "live"), ("dm_pos_2", "sublimated", "live"),
    ]  # fmt: skip
    connection.execute("""
        INSERT INTO position_statuses (status, phase, precedence, description)
        VALUES ('sublimated', 'terminal', 65, 'It is gone.')
    """)
    assert [(d.position_id, d.kind) for d in verify(connection)] == [
        ("dm_pos_1", "different"), ("dm_pos_2", "different"),
    ]  # fmt: skip
    rebuild(connection)
    assert connection.execute(phases).fetchall() == [
        ("dm_pos_1", "sublimated", "terminal"), ("dm_pos_2", "sublimated", "terminal"),
    ]  # fmt: skip
    assert verify(connection) == []


def test_a_new_type_breaks_ties_of_the_past(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append(
        [event("evt_a", kind="position.renamed"), event("evt_0", kind="position.opened")]
    )
    winner = "SELECT last_event_type FROM positions"
    assert connection.execute(winner).fetchone() == ("position.opened",)
    connection.execute("INSERT INTO event_types VALUES ('position.renamed', 155, 'Renamed.')")
    (difference,) = rebuild(connection)
    assert {"last_event_id", "last_event_type"} <= set(difference.columns)
    assert connection.execute(winner).fetchone() == ("position.renamed",)


def test_two_at_once_take_turns(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    tamper(connection)
    first, second = connect(), connect()
    order: list[str] = []
    others: list[threading.Thread] = []
    pid = second.info.backend_pid

    def progress(done: int, total: int) -> None:
        order.append("first")
        if others:
            return
        other = threading.Thread(
            target=lambda: rebuild(second, progress=lambda *_: order.append("second"))
        )
        others.append(other)
        other.start()
        while not connection.execute(
            "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
        ).fetchone():
            assert other.is_alive()

    assert rebuild(first, progress=progress) != []
    others[0].join(60)
    assert order == sorted(order), "one after the other"
    assert {*order} == {"first", "second"}
    assert verify(connection) == []


@pytest.mark.parametrize("when", ["while it builds", "while it waits for the swap"])
def test_killed_in_the_middle_it_leaves_what_stood(
    connection: psycopg.Connection, connect: Connect, filled: Appender, when: str
) -> None:
    tamper(connection)
    before = rows(connection)
    own = connect()
    pid = own.info.backend_pid

    def kill() -> None:
        connection.execute("SELECT pg_terminate_backend(%s::integer)", [pid])

    if when == "while it builds":
        with pytest.raises(psycopg.OperationalError):
            rebuild(own, progress=lambda done, _: kill() if done > 10 else None)
    else:
        errors: list[psycopg.Error] = []

        def work() -> None:
            try:
                rebuild(own)
            except psycopg.Error as error:
                errors.append(error)

        holder = connect()
        with holder.transaction():
            holder.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            thread = threading.Thread(target=work)
            thread.start()
            while not connection.execute(
                "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
            ).fetchone():
                assert thread.is_alive()
            kill()
            thread.join(60)
        assert len(errors) == 1
        assert isinstance(errors[0], psycopg.OperationalError)
    assert rows(connection) == before
    gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
    while connection.execute(gone, [pid]).fetchone():
        pass
    assert leftovers(connection) == []
    assert rebuild(connection) != []


def test_an_error_in_the_middle_leaves_the_connection_usable(
    connection: psycopg.Connection, connect: Connect, filled: Appender
) -> None:
    tamper(connection)
    connection.execute("ALTER TABLE positions ADD CONSTRAINT no_open CHECK (status <> 'open')")
    with pytest.raises(psycopg.errors.CheckViolation):
        rebuild(connection)
    assert leftovers(connection) == []
    connection.execute("ALTER TABLE positions DROP CONSTRAINT no_open")
    assert rebuild(connection) != []
    assert verify(connection) == []


def test_the_rebuild_lock_is_not_the_appenders(
    connection: psycopg.Connection, filled: Appender
) -> None:
    connection.execute("SELECT pg_advisory_lock(%s)", [REBUILD_LOCK])
    assert filled.append([event("evt_1")]).appended == 1


def test_a_body_that_jsonb_cannot_hold_is_rebuilt_as_it_was_projected(
    connection: psycopg.Connection, appender: Appender
) -> None:
    raw = (
        b'{"id":"evt_1","type":"position.opened","created_at":"2026-07-01T12:00:00Z","data":'
        b'{"id":"dm_pos_1","status":"open","market_title":"a\\u0000b\\ud800","x":1e999999}}'
    )
    appender.append([received(raw)])
    row = connection.execute("SELECT market_title, data ->> 'x' FROM positions").fetchone()
    assert row == ("a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}", "1e999999")
    assert verify(connection) == []
    tamper(connection)
    rebuild(connection)
    assert connection.execute("SELECT market_title FROM positions").fetchone() == row[:1]
