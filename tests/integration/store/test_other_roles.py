"""Roles that are none of the store's own, and what they may do with it."""

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from support.postgres import ON_CITUS, SCHEMA, Server, fresh_database
from support.roles import Urls, connected, roles_on
from support.stranger import a_role

from positionstore.model.check import Check
from positionstore.store import migrations
from positionstore.store.access import FUNCTIONS, RELATIONS
from positionstore.store.checks import checks
from positionstore.store.grants import Role, Roles
from positionstore.store.other_roles import OtherRight, Weight, other_rights
from positionstore.store.roles import plan, recorded

pytestmark = pytest.mark.superuser

HOSTED = (
    "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, DELETE, TRUNCATE ON TABLES TO {role}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT USAGE, SELECT ON SEQUENCES TO {{role}}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT EXECUTE ON FUNCTIONS TO {{role}}",
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}}",
)
"""What a hosted service has said before the store is made."""


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        yield urls


def of(url: str) -> list[OtherRight]:
    with connected(url) as connection:
        return other_rights(connection, recorded(connection))


def faults(url: str) -> list[OtherRight]:
    return [right for right in of(url) if right.weight is Weight.FAULT]


def take_back(url: str) -> None:
    """Do what is said of every right that changes something."""
    with connected(url) as admin:
        for right in other_rights(admin, recorded(admin)):
            if right.weight is not Weight.ALLOWED:
                admin.execute(right.statement.encode())


@pytest.mark.parametrize("has_roles", [False, True], ids=["a store of one role", "of three"])
def test_what_a_hosted_service_grants_on_each_new_table_is_named_and_taken_back(
    postgres: Server, *, has_roles: bool
) -> None:
    with fresh_database(postgres) as url, a_role(url, *HOSTED) as (anon, anon_url):
        migrations.migrate(url)
        with ExitStack() as stack:
            if has_roles:
                stack.enter_context(roles_on(url))
            found = of(url)
            assert {right.role for right in found} == {anon}
            table, sequence, *rest = found
            assert table.may == (
                f"DELETE, INSERT, TRUNCATE on {SCHEMA}.events, {SCHEMA}.positions and "
                f"{len(RELATIONS) - 2} more"
            )
            assert sequence.may.startswith(f"USAGE on {SCHEMA}.")
            assert {right.weight for right in rest} == {Weight.TO_COME, Weight.ALLOWED}
            take_back(url)
            left = of(url)
            assert {right.weight for right in left} == {Weight.ALLOWED}
            assert {right.may.partition(" ")[0] for right in left} == {"SELECT", "EXECUTE"}
            # Nor has it any of what the next migration makes.
            migrations.migrate(url, down_to="base")
            migrations.migrate(url)
            assert anon not in {right.role for right in faults(url)}
            if not has_roles:
                with connected(anon_url) as connection:
                    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute("TRUNCATE events")


FAULTS = [
    "GRANT INSERT ON events TO {role}",
    "GRANT UPDATE ON positions TO {role}",
    "GRANT DELETE ON quarantine TO {role}",
    "GRANT TRUNCATE ON reconciliation_runs TO {role}",
    "GRANT TRIGGER ON events TO {role}",
    "GRANT REFERENCES ON events TO {role}",
    "GRANT UPDATE ON open_positions TO {role}",
    "GRANT UPDATE (status, phase), INSERT (status) ON positions TO {role}",
    "GRANT ALL ON positions TO {role} WITH GRANT OPTION",
    "GRANT USAGE ON SEQUENCE events_seq_seq TO {role}",
    "GRANT UPDATE ON SEQUENCE events_seq_seq TO {role}",
    f"GRANT CREATE ON SCHEMA {SCHEMA} TO {{role}}",
    "GRANT UPDATE ON position_statuses TO PUBLIC",
]


@pytest.mark.parametrize("grant", FAULTS)
def test_every_right_to_change_something_is_a_fault_that_a_statement_takes_back(
    any_store_url: str, grant: str
) -> None:
    with a_role(any_store_url, grant) as (name, _):
        role = "PUBLIC" if "PUBLIC" in grant else name
        assert [right.role for right in faults(any_store_url)] == [role]
        take_back(any_store_url)
        assert faults(any_store_url) == []


def test_the_newest_privilege_is_one_too(store_url: str) -> None:
    with a_role(store_url, "GRANT MAINTAIN ON events TO {role}"):
        (fault,) = faults(store_url)
        assert fault.may == "MAINTAIN on public.events"


ALLOWED = [
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {{role}}",
    "GRANT SELECT (seq, event_id) ON events TO {role}",
    "GRANT SELECT ON SEQUENCE events_seq_seq TO {role}",
    "GRANT EXECUTE ON FUNCTION refuse_change_of_events() TO {role}",
    "GRANT pg_write_all_data TO {role}",
]


@pytest.mark.parametrize("grant", ALLOWED)
def test_what_an_operator_may_allow_is_told_and_no_fault(any_store_url: str, grant: str) -> None:
    with a_role(any_store_url, grant) as (name, _):
        told = of(any_store_url)
        assert [(right.role, right.weight) for right in told] == [(name, Weight.ALLOWED)]
        with connected(any_store_url) as admin:
            admin.execute(told[0].statement.encode())
        assert of(any_store_url) == []


QUIET = [
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}}",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT EXECUTE ON FUNCTION fold_facts(text[], timestamptz, timestamptz) TO {role}",
]


@pytest.mark.parametrize("grant", QUIET)
def test_what_gives_nothing_by_itself_is_not_told(any_store_url: str, grant: str) -> None:
    with a_role(any_store_url, grant):
        assert of(any_store_url) == []


def test_the_owner_superusers_and_the_stores_own_roles_are_not_named(
    any_store_url: str, urls: Urls
) -> None:
    with a_role(any_store_url, "GRANT ALL ON events TO {role}", options="SUPERUSER"):
        for url in (any_store_url, *urls.values()):
            assert of(url) == []
    assert len(RELATIONS) > 20
    assert len(FUNCTIONS) > 10


def test_another_program_s_table_in_the_schema_is_no_business_of_ours(any_store_url: str) -> None:
    with connected(any_store_url) as admin:
        admin.execute("CREATE TABLE invoices (id bigserial)")
    with a_role(any_store_url, "GRANT ALL ON invoices, invoices_id_seq TO {role}"):
        assert of(any_store_url) == []


def test_who_was_let_in_as_the_owner_or_the_writer_is_named(any_store_url: str, urls: Urls) -> None:
    roles = Roles(str(conninfo_to_dict(urls[Role.OWNER])["user"]).removesuffix("_owner"))
    for role, is_fault in ((Role.OWNER, True), (Role.WRITER, True), (Role.READER, False)):
        with a_role(any_store_url, f"GRANT {roles.name(role)} TO {{role}}") as (name, _):
            assert [right.role for right in faults(any_store_url)] == [name] * is_fault
            take_back(any_store_url)
            assert of(any_store_url) == []
            is_member = "SELECT pg_has_role(%s, %s, 'MEMBER')"
            with connected(any_store_url) as admin:
                left = admin.execute(is_member, [name, roles.name(role)]).fetchone()
            assert left == (not is_fault,)


def test_an_administrator_of_the_server_may_be_a_member(any_store_url: str, urls: Urls) -> None:
    owner = conninfo_to_dict(urls[Role.OWNER])["user"]
    with a_role(any_store_url, f"GRANT {owner} TO {{role}}", options="CREATEROLE"):
        assert of(any_store_url) == []


def test_what_was_given_on_is_taken_back_with_the_right_to_give_it(
    any_store_url: str, urls: Urls
) -> None:
    writer = sql.Identifier(str(conninfo_to_dict(urls[Role.WRITER])["user"]))
    with a_role(any_store_url) as (name, _):
        with connected(any_store_url) as admin:
            admin.execute(sql.SQL("GRANT INSERT ON events TO {} WITH GRANT OPTION").format(writer))
        with connected(urls[Role.WRITER]) as connection:
            connection.execute(sql.SQL("GRANT INSERT ON events TO {}").format(sql.Identifier(name)))
        assert [right.role for right in faults(any_store_url)] == [name]
        take_back(any_store_url)
        assert of(any_store_url) == []
        assert found(urls[Role.OWNER])["writer"].ok


def test_a_name_that_has_to_be_quoted_is(any_store_url: str) -> None:
    strange = 'x"; DROP TABLE events; --\n'
    with connected(any_store_url) as admin:
        role = sql.Identifier(strange + admin.info.dbname)
        admin.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            admin.execute(sql.SQL("GRANT ALL ON events TO {}").format(role))
            take_back(any_store_url)
            assert faults(any_store_url) == []
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


# --- the checks --------------------------------------------------------------------------------


def found(url: str) -> dict[str, Check]:
    with connected(url) as connection:
        return {each.name: each for each in checks(connection)}


def wrong(url: str) -> list[str]:
    return [name for name, each in found(url).items() if not each.ok]


@pytest.mark.parametrize("role", [None, *Role])
def test_all_is_well_for_whichever_role_looks(
    any_store_url: str, urls: Urls, role: Role | None
) -> None:
    url = any_store_url if role is None else urls[role]
    assert wrong(url) == []
    workers = ["workers"] if ON_CITUS else []
    assert list(found(url)) == [
        "database", "schema", "append-only", "writer", "roles", "other roles", *workers
    ]  # fmt: skip


def test_a_store_of_one_role_is_well_too(any_store_url: str) -> None:
    assert wrong(any_store_url) == []
    assert "only its trigger keeps it" in found(any_store_url)["writer"].notes[0]


def test_a_schema_that_is_not_at_head_ends_it(any_store_url: str) -> None:
    with connected(any_store_url) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '0010'")
    assert list(found(any_store_url)) == ["database", "schema"]
    assert "Run `positionstore migrate`" in found(any_store_url)["schema"].says


@pytest.mark.not_on_citus("a trigger of a table that is spread cannot be switched")
def test_the_trigger_that_works_for_some_sessions_alone_is_told(any_store_url: str) -> None:
    with connected(any_store_url) as admin:
        admin.execute("ALTER TABLE events ENABLE TRIGGER events_are_append_only")
    assert wrong(any_store_url) == ["append-only"]


SPOILT = [
    ("REVOKE INSERT ON events FROM {}", {"writer", "roles"}),
    ("REVOKE SELECT ON alembic_version FROM {}", {"writer", "roles"}),
    ("REVOKE EXECUTE ON FUNCTION fold_facts FROM {}, PUBLIC", {"writer", "roles"}),
    (f"REVOKE USAGE ON SCHEMA {SCHEMA} FROM {{}}, PUBLIC", {"writer", "roles"}),
    ("GRANT UPDATE ON events TO {}", {"writer", "roles"}),
    ("GRANT UPDATE (status) ON events TO {}", {"writer"}),
    ("GRANT INSERT ON positions TO PUBLIC", {"roles", "other roles"}),
    ("ALTER TABLE positions ENABLE ROW LEVEL SECURITY", {"writer"}),
]


@pytest.mark.parametrize(("change", "says"), SPOILT)
def test_what_is_wrong_is_put_right_by_the_statements_that_it_says(
    any_store_url: str, urls: Urls, change: str, says: set[str]
) -> None:
    writer = sql.Identifier(str(conninfo_to_dict(urls[Role.WRITER])["user"]))
    with connected(any_store_url) as admin:
        admin.execute(sql.SQL(change).format(writer))
        assert set(wrong(any_store_url)) == says
        for each in checks(admin):
            for statement in each.statements:
                admin.execute(statement.encode())
        assert wrong(any_store_url) == []
        known = recorded(admin)
        assert known is not None
        assert plan(admin, known) == []
