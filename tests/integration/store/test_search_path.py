"""Every function of ours means the same, whatever the search_path of its caller."""

import re

import psycopg
import pytest
from psycopg import sql
from support.factories import event
from support.postgres import ON_CITUS
from support.roles import connected

from positionstore.store.appender import Appender

QUALIFIED = {
    "bigint_from_wire": "called for each number of each fact; a SET clause costs more than it does",
    "instant_from_wire": "called for each moment of each fact",
    "jsonb_from_wire": "called for each fact",
}
"""PL/pgSQL without a search_path of its own: each name in it says its schema. Why it is not set."""

FUNCTIONS = """
    SELECT
        proname,
        prosqlbody IS NOT NULL,
        (
            SELECT split_part(setting, '=', 2) FROM unnest(proconfig) setting
            WHERE setting ~ '^search_path='
        )
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    ORDER BY proname
"""


def test_every_function_has_a_fixed_search_path(any_store_url: str) -> None:
    """A body in the SQL standard's form is bound to its objects when it is made."""
    with connected(any_store_url) as connection:
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        found = connection.execute(FUNCTIONS).fetchall()
    paths = {f"{schema}, pg_temp", "pg_catalog, pg_temp"}
    loose = {name for name, is_bound, path in found if not is_bound and path not in paths}
    assert loose == {*QUALIFIED, *(["text_of"] if ON_CITUS else [])}


# --- those without one ------------------------------------------------------------------------

NUMBERS = ["1", "-5", "9223372036854775807", "9223372036854775808", "x", ""]
INSTANTS = [
    "2026-07-01T12:00:00Z",
    "2026-07-01T12:00:00.1234567890123456789Z",
    "2026-07-01",
    "2026-02-30T12:00:00Z",
    "0000-01-01T00:00:00Z",
]
ENVELOPES = [
    '{"a": 1}',
    r'{"a": "\u0000 \\ \ud83d\ude00 \ud800"}',
    '{"a": 1e999999, "b": 12, "c": "1e400", "d": ' + "1" * 1001 + "}",
    '{"a": ' + "1" * 140_000 + "}",
]
CALLS = (
    [("bigint_from_wire", value) for value in NUMBERS]
    + [("instant_from_wire", value) for value in INSTANTS]
    + [("jsonb_from_wire", value) for value in ENVELOPES]
)

NAMESAKES = """
    SELECT
        proname,
        ARRAY(SELECT format_type(each, NULL) FROM unnest(proargtypes) WITH ORDINALITY a(each, place)
              ORDER BY place),
        (CASE WHEN proretset THEN 'SETOF ' ELSE '' END) || format_type(prorettype, NULL),
        NULL
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND provariadic = 0
        AND %(body)s ~ ('\\m' || proname || '\\M')
    UNION ALL
    SELECT
        'operator_' || oid,
        ARRAY[format_type(oprleft, NULL), format_type(oprright, NULL)],
        format_type(oprresult, NULL),
        oprname
    FROM pg_operator
    WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b'
        AND position(oprname IN %(body)s) > 0
"""


def put_decoys(admin: psycopg.Connection, body: str) -> int:
    """Make a schema of namesakes of all that a body names, which raise; return how many."""
    made = 0
    admin.execute("CREATE SCHEMA decoys")
    for name, takes, gives, sign in admin.execute(NAMESAKES, {"body": body}).fetchall():
        called = sql.Identifier("decoys", name)
        statement = sql.SQL(
            "CREATE FUNCTION {}({}) RETURNS {} LANGUAGE plpgsql AS"
            " $x$ BEGIN RAISE EXCEPTION 'taken in by %', {}; END $x$"
        ).format(called, sql.SQL(", ".join(takes)), sql.SQL(gives), sql.Literal(sign or name))
        if sign:
            statement += sql.SQL(
                "; CREATE OPERATOR decoys.{} (LEFTARG = {}, RIGHTARG = {}, FUNCTION = {})"
            ).format(sql.SQL(sign), *map(sql.SQL, takes), called)
        try:
            admin.execute(statement)
        except psycopg.Error:
            continue  # of a type that PL/pgSQL does not take
        made += 1
    return made


def results(
    connection: psycopg.Connection, function: str
) -> list[tuple[object, ...] | psycopg.Error]:
    found: list[tuple[object, ...] | psycopg.Error] = []
    for name, value in CALLS:
        if name == function:
            call = sql.SQL("SELECT pg_catalog.md5(public.{}({})::pg_catalog.text)")
            ask = connection.execute(call.format(sql.Identifier(name), sql.Literal(value)))
            found += ask.fetchall()
    return found


@pytest.mark.in_public
@pytest.mark.parametrize("function", QUALIFIED)
def test_namesakes_ahead_of_postgresql_s_own_are_not_called(
    any_store_url: str, function: str
) -> None:
    with connected(any_store_url) as admin:
        wanted = results(admin, function)
        assert len(set(wanted)) > 2
        where = "proname = %s AND pronamespace = 'public'::regnamespace"
        (body,) = admin.execute(f"SELECT prosrc FROM pg_proc WHERE {where}", [function]).fetchall()[
            0
        ]
        assert put_decoys(admin, body) > 5
    with connected(any_store_url) as caller:
        for name in ("text", "jsonb", "timestamptz"):  # a temporary table is a type as well
            caller.execute(sql.SQL("CREATE TEMPORARY TABLE {} ()").format(sql.Identifier(name)))
        caller.execute("SET search_path = decoys, pg_catalog, public")
        assert results(caller, function) == wanted


@pytest.mark.in_public
def test_the_decoys_take_in_a_body_that_does_not_say_where_its_names_are(
    any_store_url: str,
) -> None:
    with connected(any_store_url) as admin:
        for function in QUALIFIED:
            (whole,) = admin.execute(
                "SELECT pg_get_functiondef(%s::regproc)", [f"public.{function}"]
            ).fetchall()[0]
            loose = re.sub(r"OPERATOR\(pg_catalog\.(\S+)\)", r"\1", whole)
            admin.execute(loose.replace("pg_catalog.", "").encode())
    for function in QUALIFIED:
        test = test_namesakes_ahead_of_postgresql_s_own_are_not_called
        with pytest.raises(psycopg.Error, match=r"taken in by|cannot cast"):
            test(any_store_url, function)
        with connected(any_store_url) as admin:
            admin.execute("DROP SCHEMA decoys CASCADE")


@pytest.mark.in_public
def test_a_temporary_table_does_not_hide_the_log_from_a_function(any_store_url: str) -> None:
    with connected(any_store_url) as connection:
        Appender(connection).append([event("evt_1")])
        wanted = connection.execute("SELECT seq FROM fold_facts()").fetchall()
        for name in ("events", "positions", "ranked_facts", "fact_positions"):
            connection.execute(
                sql.SQL("CREATE TEMPORARY TABLE {0} AS SELECT * FROM public.{0} LIMIT 0").format(
                    sql.Identifier(name)
                )
            )
        found = [
            connection.execute(f"SELECT seq FROM {call}".encode()).fetchall()
            for call in ("fold_facts()", "facts_as_of('infinity')", "events_after(0)")
        ]
        assert found == [wanted, wanted, wanted]
