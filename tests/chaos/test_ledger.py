"""The chaos suite finds what it looks for: a ledger that sees nothing would prove nothing."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from support.harness.actors import Life
from support.harness.ledger import Account, Kept, Ledger

from positionstore.sandbox import Record
from positionstore.sandbox.sessions import Session

NAMES = [f"evt_{number}" for number in range(6)]


def envelope(name: str) -> bytes:
    return b'{"id":"%b"}' % name.encode()


def record(name: str, *recipients: str) -> Record:
    return Record(
        at=0,
        fate="delivered" if recipients else "unheard",
        copy=0,
        recipients=list(recipients),
        event_id=name,
        type="position.opened",
        position_id="dm_pos_1",
        partner=0,
        wallet="",
        envelope=msgspec.Raw(envelope(name)),
    )


def kept(*names: str, twice: tuple[str, ...] = ()) -> Kept:
    digests = {
        name: hashlib.md5(envelope(name), usedforsecurity=False).hexdigest() for name in names
    }
    return Kept(digests, list(twice), frozenset())


def session(sid: str, answered: int, life: str = "a-0") -> Session:
    return Session(sid, "/partner", f"1.1 {life}", sent=6, answered=answered)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Six events, all of them sent to one client."""
    path = tmp_path / "emitted.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(record(name, "s")) + b"\n" for name in NAMES))
    made = Ledger(path)
    made.read()
    return made


def look(
    ledger: Ledger, store: Kept, *, answered: int = 6, killed: bool = False, durable: bool = False
) -> Account:
    return ledger.account([session("s", answered)], [Life("a-0", durable, killed)], store)


def test_all_is_well_where_all_is_kept(ledger: Ledger) -> None:
    found = look(ledger, kept(*NAMES))

    assert (found.emitted, found.delivered, found.logged) == (6, 6, 6)
    assert (found.lost, found.duplicated, found.altered) == ([], [], [])


def test_what_was_read_and_is_not_kept_is_lost(ledger: Ledger) -> None:
    assert look(ledger, kept(*NAMES[:4])).lost == NAMES[4:]


def test_what_was_never_read_is_not_lost(ledger: Ledger) -> None:
    found = look(ledger, kept(*NAMES[:4]), answered=4)

    assert (found.lost, found.delivered) == ([], 4)


def test_a_killed_process_may_take_along_what_it_read_last_and_nothing_else(
    ledger: Ledger,
) -> None:
    last = look(ledger, kept(*NAMES[:4]), killed=True)
    between = look(ledger, kept(*NAMES[:2], *NAMES[3:]), killed=True)

    assert (last.lost, last.from_memory, last.most_from_memory) == ([], 2, 2)
    assert last.out_of_turn == []
    assert between.out_of_turn == NAMES[3:]


def test_one_that_puts_every_event_on_disk_first_may_take_nothing_along(ledger: Ledger) -> None:
    found = look(ledger, kept(*NAMES[:4]), killed=True, durable=True)

    assert (found.lost, found.from_memory) == (NAMES[4:], 0)


def test_a_process_that_was_not_killed_may_lose_nothing_that_a_killed_one_read_too(
    tmp_path: Path,
) -> None:
    path = tmp_path / "both.jsonl"
    path.write_bytes(msgspec.json.encode(record("evt_0", "s", "t")) + b"\n")
    ledger = Ledger(path)
    ledger.read()

    found = ledger.account(
        [session("s", 1), session("t", 1, "b-0")], [Life("a-0", killed=True), Life("b-0")], kept()
    )

    assert found.lost == ["evt_0"]


def test_what_the_log_has_twice_or_in_other_words_or_from_nowhere_is_found(
    ledger: Ledger,
) -> None:
    store = kept(*NAMES, "evt_from_nowhere", twice=("evt_1",))
    store.events["evt_2"] = "other"

    found = look(ledger, store)

    assert found.duplicated == ["evt_1"]
    assert found.altered == ["evt_2", "evt_from_nowhere"]
