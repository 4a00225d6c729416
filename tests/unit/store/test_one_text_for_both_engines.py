"""What Citus demands of the store's statements, as far as their text tells."""

import re
from itertools import product
from pathlib import Path

import new_field
import pytest

from positionstore.store import queries as module
from positionstore.store.citus import SPREAD
from positionstore.store.citus_functions import ADAPTED, adapted
from positionstore.store.queries import queries

VIEWS = ("ranked_facts", "ranked_positions", "fact_positions", "retractions")
FILES = sorted(path.stem for path in (Path(module.__file__).parent / "sql").glob("*.sql"))
STATEMENTS = [(name, each) for name in FILES for each in queries(name)]
ON_WORKERS = rf"(?:{'|'.join((*SPREAD, *VIEWS))})"

HELD = re.compile(rf"LATERAL \((?:(?!LATERAL).)*?\bFROM {ON_WORKERS}\b[^()]*OFFSET 0", re.DOTALL)
"""A look-up in a table of the workers that is held to one row by what PostgreSQL alone takes."""

BY_SEQ = re.compile(r"(?<!\{of_position\} )(?<!\{of_fact\} )\b\w+\.seq = \w+\.seq\b")
"""A join by seq alone, which every worker would have to do with every other."""

AS_JSON = re.compile(r"jsonb_each\(to_jsonb\(")
"""A row taken apart as JSON within a query, which has ended a coordinator."""

STABLE = re.compile(r"\(\s*SELECT ARRAY\[[^\]]*\]::text AS", re.DOTALL)
"""A cast of an array, which is only stable, in a query without FROM."""


BY_SEQ_ALONE = re.compile(r"(?<!\.position_id AND )\b\w+\.seq = \w+\.seq\b")
"""The same in a function, which has no place for a hint."""

OF_A_MOMENT = re.compile(r"_moment\([^()]*\)\)\.|\(\w+\.(?:opened|ended)\)\.")
"""A column of a composite type, for which Citus makes the view's functions before that type."""

VIEW_FILES = sorted({path.stem for path in new_field.MIGRATIONS.glob("sql/*/views/*.sql")})


def newest(name: str) -> str:
    """Return a function or view as the newest migration makes it, without its comments."""
    return re.sub(r"--.*", "", new_field.newest(name))


def text_of(statement: tuple[str, str]) -> str:
    """Return a statement without its comments, its parameters as question marks."""
    file, name = statement
    return re.sub(r"%\(\w+\)[sb]", "?", re.sub(r"--.*", "", queries(file)[name].as_string()))


@pytest.mark.parametrize("statement", STATEMENTS, ids=".".join)
def test_a_statement_has_nothing_that_citus_refuses(statement: tuple[str, str]) -> None:
    text = text_of(statement)
    assert [each for each in (HELD, BY_SEQ, AS_JSON, STABLE) if each.search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HELD, "CROSS JOIN LATERAL (SELECT * FROM fact_positions f WHERE f.seq = 1 OFFSET 0) f"),
        (
            HELD,
            "JOIN LATERAL (\n  SELECT e.envelope\n  FROM events e\n  WHERE e.x = 1\n OFFSET 0\n)",
        ),
        (BY_SEQ, "JOIN events e ON f.seq = w.seq"),
        (AS_JSON, "FROM jsonb_each(to_jsonb(p)) stands"),
        (STABLE, "FROM (SELECT ARRAY[\na, b\n]::text AS numbers OFFSET 0)"),
    ],
)
def test_what_it_refuses_is_found(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize("name", ADAPTED)
def test_a_function_has_nothing_that_citus_refuses(name: str) -> None:
    text = adapted(newest(f"functions/{name}"))
    assert [each for each in (HELD, BY_SEQ_ALONE) if each.search(text)] == []


@pytest.mark.parametrize("name", VIEW_FILES)
def test_a_view_takes_no_column_of_a_composite_type(name: str) -> None:
    assert not OF_A_MOMENT.search(newest(f"views/{name}"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (BY_SEQ_ALONE, "WHERE f.seq = w.seq"),
        (OF_A_MOMENT, "(opened_moment(p.position_id, p.phase, p.entry_opened_at)).at"),
        (OF_A_MOMENT, "ORDER BY (w.ended).at DESC"),
    ],
)
def test_what_a_function_or_view_may_not_have_is_found(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


def test_what_it_takes_is_not_found() -> None:
    taken = [
        "LATERAL (SELECT * FROM fact_positions f WHERE {of_position} f.seq = w.seq {once}) f",
        "CROSS JOIN LATERAL (SELECT * FROM pg_temp.incoming i WHERE i.ctid = o.place OFFSET 0) i",
    ]
    for pattern, text in product((HELD, BY_SEQ, AS_JSON, STABLE), taken):
        assert not pattern.search(text)
