"""The examples of docs/order-of-facts.md: each one's facts make the row that it says."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from pathlib import Path

import psycopg
import pytest
from support.profiles import share

from positionstore.dimes.decoder import decode
from positionstore.model.facts import Received, Retraction, Snapshot, Source
from positionstore.store import database, projection
from positionstore.store.appender import Appender

PAGE = Path(__file__).resolve().parents[2] / "docs" / "order-of-facts.md"
HEAD = "| event_id | type | status | created_at | overrules up to |"
VERDICT = re.compile(
    r"^→ `(?P<status>\w+)` \((?P<phase>\w+)\), by `(?P<winner>\w+)`\.", re.MULTILINE
)


@dataclass(frozen=True)
class Fact:
    event_id: str
    type: str
    status: str
    created_at: str
    overrules: str
    retracts: str = ""


@dataclass(frozen=True)
class Example:
    title: str
    facts: tuple[Fact, ...]
    status: str
    phase: str
    winner: str


def examples() -> Iterator[Example]:
    for section in PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        title, _, body = section.partition("\n")
        for table in body.split(HEAD)[1:]:
            rows = re.findall(r"^\|(.+)\|$", table.partition("\n\n")[0], re.MULTILINE)[1:]
            facts = tuple(Fact(*(cell.strip() for cell in row.split("|"))) for row in rows)
            verdict = VERDICT.search(table)
            assert verdict, f"no verdict: {title}"
            yield Example(title, facts, *verdict.group("status", "phase", "winner"))


EXAMPLES = list(examples())


def moment(clock: str) -> datetime:
    """Read a time of the day that the page's examples are of, or a date and a time."""
    whole = clock if " " in clock else f"2026-07-01 {clock}"
    return datetime.fromisoformat(f"{whole}+00:00")


def retraction(fact: Fact, position: str, facts: Sequence[Fact]) -> Retraction:
    """Return a retraction of the page, in which facts are called by short names."""
    named = [each for each in facts if each.event_id == fact.retracts]
    target = fact.retracts
    if named and named[0].retracts:
        target = retraction(named[0], position, facts).event_id
    elif named and named[0].overrules:
        target = snapshot(named[0], position).event_id
    return Retraction(position, target, fact.event_id, moment(fact.created_at))


def snapshot(fact: Fact, position: str) -> Snapshot:
    body = {"id": position, "status": fact.status, "named": fact.event_id}
    raw = json.dumps(body).encode()
    at, overrules = moment(fact.created_at), moment(fact.overrules)
    return Snapshot(position, fact.status, at, overrules, raw)


def append(
    appender: Appender, position: str, facts: Sequence[Fact], among: Sequence[Fact] = ()
) -> None:
    """Append facts in this order, neighbours of one kind together."""
    events: list[Received] = []
    for fact in facts:
        if fact.retracts:
            if events:
                appender.append(events)
                events = []
            made = retraction(fact, position, among or facts)
            appender.append_retractions([made], moment(fact.created_at))
            continue
        body = {"id": position, "status": fact.status, "named": fact.event_id}
        at = moment(fact.created_at)
        if fact.overrules:
            if events:
                appender.append(events)
                events = []
            appender.append_snapshots([snapshot(fact, position)], at)
        else:
            envelope = {"id": fact.event_id, "type": fact.type, "created_at": at.isoformat()}
            raw = json.dumps(envelope | {"data": body}).encode()
            events.append(Received(decode(raw), at, Source.PARTNER))
    appender.append(events)


def orders(facts: tuple[Fact, ...]) -> list[tuple[Fact, ...]]:
    every = list(permutations(facts))
    random.Random(0).shuffle(every)
    return every[: min(24, share(24))]


def test_the_page_has_its_examples() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(EXAMPLES) == page.count(HEAD) == page.count("\n→ ") >= 20
    assert all(len(example.facts) >= 2 for example in EXAMPLES)


def test_every_example_makes_its_row_in_any_order_and_batching(any_store_url: str) -> None:
    expected: dict[str, Example] = {}
    with (
        closing(database.connect(any_store_url)) as own,
        closing(database.connect(any_store_url)) as connection,
    ):
        appender = Appender(own)
        for number, example in enumerate(EXAMPLES):
            for way, facts in enumerate(orders(example.facts)):
                whole, single = f"{number}/{way}/whole", f"{number}/{way}/single"
                append(appender, whole, facts)
                for fact in facts:
                    append(appender, single, [fact], example.facts)
                expected |= {whole: example, single: example}
        verdicts = found(connection)
        assert verdicts.keys() == expected.keys()
        for position, example in expected.items():
            wanted = (example.status, example.phase, example.winner)
            assert verdicts[position] == wanted, (example.title, position)
        assert projection.verify(connection) == []


def test_the_log_holds_each_fact_once(store_url: str) -> None:
    with closing(database.connect(store_url)) as own:
        appender = Appender(own)
        for number, example in enumerate(EXAMPLES):
            append(appender, str(number), example.facts)
        own.rollback()
        counts: dict[str, int] = dict(
            own.execute("SELECT position_id, count(*) FROM events GROUP BY 1").fetchall()
        )
    assert counts == {str(n): len(set(example.facts)) for n, example in enumerate(EXAMPLES)}


def test_the_envelope_of_the_page_is_that_of_its_content() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shown = json.loads(text)
    made = Retraction(**shown["data"], created_at=datetime.fromisoformat(shown["created_at"]))
    assert json.loads(made.envelope) == shown


def test_the_query_of_the_page_works(store_url: str) -> None:
    (query,) = re.findall(r"```sql\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    example = next(example for example in EXAMPLES if example.title.startswith("A close arrives"))
    with closing(database.connect(store_url)) as own:
        append(Appender(own), "dm_pos_...", example.facts)
        rows = own.execute(query).fetchall()
    assert [row[0] for row in rows] == ["evt_3", "evt_2", "evt_1"]


@pytest.mark.parametrize("table", ["position_statuses", "event_types"])
def test_precedences_that_the_page_names_are_those_of_the_tables(
    store_url: str, table: str
) -> None:
    key = {"position_statuses": "status", "event_types": "type"}[table]
    page = PAGE.read_text(encoding="utf-8")
    claims = re.findall(
        r"`([\w.]+)` has precedence (\d+), `([\w.]+)` (\d+)\.", page.replace("\n", " ")
    )
    with closing(database.connect(store_url)) as connection:
        known: dict[str, int] = dict(
            connection.execute(f"SELECT {key}, precedence FROM {table}").fetchall()
        )
    pairs = {(a, int(b)) for a, b, _, _ in claims} | {(c, int(d)) for _, _, c, d in claims}
    of_table = {(name, precedence) for name, precedence in pairs if name in known}
    assert len(of_table) == 2
    assert all(known[name] == precedence for name, precedence in of_table)


def found(connection: psycopg.Connection) -> dict[str, tuple[str, str, str]]:
    return {
        position: (status, phase, winner)
        for position, status, phase, winner in connection.execute(
            "SELECT position_id, status, phase, data ->> 'named' FROM positions"
        )
    }
