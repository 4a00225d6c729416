"""A line that the database refuses costs an import nothing else; few long lines are a batch."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.factories import envelope

from positionstore.importer import reader as lines
from positionstore.importer.files import Imported, import_files
from positionstore.store import appender
from positionstore.store.database import Store

LINES = 5_000
BAD = (0, 2_345, LINES - 1)


def imported(store_url: str, path: Path, content: list[bytes], batch_size: int) -> Imported:
    path.write_bytes(b"\n".join(content))
    store = Store(store_url, embedded=False)
    return import_files([str(path)], store.connect, now=datetime.now(UTC), batch_size=batch_size)


AT_ONCE = "ALTER TABLE events ADD CHECK (event_id NOT IN ({}))"
AT_THE_COMMIT = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.event_id IN ({})) EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize("batch_size", [1_500, 100_000])
@pytest.mark.parametrize("rule", [AT_ONCE, AT_THE_COMMIT])
def test_of_a_batch_that_is_refused_only_those_to_blame_go_to_quarantine(
    store_url: str, tmp_path: Path, rule: str, batch_size: int
) -> None:
    content = [envelope(f"evt_{n}", position=f"dm_pos_{n % 50}", at=n) for n in range(LINES)]
    with psycopg.connect(store_url, autocommit=True) as desk:
        refused = ", ".join(f"'evt_{n}'" for n in BAD)
        desk.execute(rule.format(refused).encode())

        done = imported(store_url, tmp_path / "events.jsonl", content, batch_size)

        kept = desk.execute("SELECT raw, reason FROM quarantine ORDER BY quarantine_id").fetchall()
        appended = desk.execute("SELECT count(*) FROM events").fetchone()
    assert (done.read, done.appended, done.quarantined) == (LINES, LINES - len(BAD), len(BAD))
    assert appended == (LINES - len(BAD),)
    assert kept == [(content[n], "refused_by_database") for n in BAD]


def test_long_lines_make_a_transaction_by_their_bytes(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "_ENOUGH_REJECTED_BYTES", 2_000_000)
    content = [b"no event %07d" % n + b"x" * 100_000 for n in range(300)]
    with psycopg.connect(store_url, autocommit=True) as desk:
        done = imported(store_url, tmp_path / "events.jsonl", content, 100_000)

        # Which transaction wrote a row is its xmin.
        transactions = desk.execute("SELECT count(DISTINCT xmin::text) FROM quarantine").fetchone()
    assert done.quarantined == 300
    # Lines are read by eight megabytes, and each time that makes a transaction.
    assert transactions == (4,)


def test_long_lines_that_begin_alike_are_kept_each(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_ENVELOPE", 100_000)
    long = [b"x" * 200_000 + end for end in (b"a", b"b", b"a", b"x" * 9_000_000 + b"a")]
    with psycopg.connect(store_url, autocommit=True) as desk:
        for _ in range(2):
            imported(store_url, tmp_path / "events.jsonl", [*long, b""], 100_000)

        kept = desk.execute(
            "SELECT raw, detail, digest FROM quarantine ORDER BY quarantine_id"
        ).fetchall()
    assert [raw for raw, _, _ in kept] == [b"x" * 65_536] * 3
    assert ["line 1." in kept[0][1], "line 2." in kept[1][1], "line 4." in kept[2][1]] == [True] * 3
    assert [digest for _, _, digest in kept] == [
        hashlib.sha256(long[n] + b"\n").digest() for n in (0, 1, 3)
    ]
