"""``positionstore check``, and what commands say to a role that lacks a right."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from support.postgres import fresh_database
from support.programs import Programs, ended, programs_on
from support.roles import Urls, connected, roles_on
from support.stranger import a_role

from positionstore.embedded.server import EmbeddedServer
from positionstore.sandbox import Options, Sandbox
from positionstore.store.grants import Role

HOSTED = (
    "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, DELETE, TRUNCATE ON TABLES TO {role}",
    "GRANT USAGE ON SCHEMA public TO {role}",
)
CHECKS = [
    *("database", "schema", "append-only", "writer", "roles", "other roles"),
    *("gateway", "coverage", "drift", "clock", "verify", "spool", "disk space"),
]


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(store_url, tmp_path) as programs:
        yield programs


@pytest.fixture
def urls(store_url: str) -> Iterator[Urls]:
    with roles_on(store_url) as urls:
        yield urls


async def test_one_line_a_check_and_as_json(programs: Programs) -> None:
    done = await programs.run("check")
    header, *lines = [line.split("\t") for line in done.out.splitlines() if "\t" in line]
    assert header == ["check", "is", "what"]
    assert [(name, well) for name, well, _ in lines] == [(name, "ok") for name in CHECKS]
    told = (await programs.run("check", "--json")).json
    assert told["ok"] is True
    assert [each["name"] for each in told["checks"]] == CHECKS
    assert set(told["checks"][0]) == {"name", "ok", "says", "notes", "statements"}


async def test_a_database_that_is_away_is_a_check_that_fails(programs: Programs) -> None:
    programs.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    told = (await programs.run("check", "--json", expect=3)).json
    assert [(each["name"], each["ok"]) for each in told["checks"]] == [
        ("database", False),
        ("spool", True),
        ("disk space", True),
    ]
    assert told["ok"] is False


async def test_a_hosted_service_s_roles_are_named_with_the_revoke_to_run(
    embedded_server: EmbeddedServer, programs: Programs
) -> None:
    with fresh_database(embedded_server) as url, a_role(url, *HOSTED) as (anon, _):
        programs.environment["DATABASE_URL"] = url
        await programs.run("migrate")
        checked = await programs.run("check", expect=3)
        assert f"other roles\twrong\t{anon} can change the store" in checked.out
        assert f"{anon} has SELECT on public.events" in checked.out
        printed = (await programs.run("roles", "--print")).out
        assert f"{anon} can change the store" in (await programs.run("status")).out

        revokes = [line for line in checked.out.splitlines() if line.endswith(";")]
        assert [line.split()[0] for line in revokes] == ["REVOKE", "ALTER"]
        assert set(revokes) <= set(printed.splitlines())
        with connected(url) as admin:
            admin.execute("\n".join(revokes).encode())

        assert "none can change the store" in (await programs.run("check")).out
        assert "can change the store" not in (await programs.run("status")).out
        assert "TRUNCATE" not in (await programs.run("roles", "--print")).out


async def test_roles_names_them_and_leaves_them_alone(
    store_url: str, programs: Programs, urls: Urls
) -> None:
    assert urls
    with a_role(store_url, "GRANT DELETE ON events TO {role}") as (name, _):
        done = await programs.run("roles")
        said = f"{name} has DELETE on public.events; to take it back:"
        statement = "REVOKE DELETE ON TABLE public.events FROM"
        assert said in done.out
        assert statement in done.out
        told = (await programs.run("roles", "--json")).json
        assert [(each["role"], each["weight"]) for each in told["other_roles"]] == [(name, "fault")]
        with connected(store_url) as admin:
            has = admin.execute("SELECT has_table_privilege(%s, 'events', 'DELETE')", [name])
            assert has.fetchone() == (True,)


# --- what a role lacks --------------------------------------------------------------------------


def one_line(err: str) -> str:
    (line,) = err.splitlines()
    return line


async def test_roles_without_createrole_names_print(programs: Programs, store_url: str) -> None:
    with a_role(store_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}") as (_, url):
        programs.environment["DATABASE_URL"] = url
        said = one_line((await programs.run("roles", expect=1)).err)
        assert "PostgreSQL says: permission denied" in said
        assert "`positionstore roles --print` prints the SQL" in said
        assert "CREATEROLE" in said
        printed = (await programs.run("roles", "--print")).out
    assert "CREATE ROLE" in printed
    assert not list((programs.folder / "data").glob("roles/*"))


async def test_roles_of_one_that_does_not_own_the_tables_does_too(
    programs: Programs, store_url: str
) -> None:
    with a_role(store_url, options="CREATEROLE") as (_, url):
        programs.environment["DATABASE_URL"] = url
        said = one_line((await programs.run("roles", "--prefix", "test_half", expect=1)).err)
        assert "`positionstore roles --print`" in said
    with connected(store_url) as admin:
        made = admin.execute("SELECT FROM pg_roles WHERE rolname LIKE 'test_half%'").fetchall()
    assert made == []


async def test_migrate_without_create_names_the_grant(
    embedded_server: EmbeddedServer, programs: Programs
) -> None:
    with fresh_database(embedded_server) as url, a_role(url) as (name, theirs):
        programs.environment["DATABASE_URL"] = theirs
        said = one_line((await programs.run("migrate", expect=1)).err)
        grant = f'GRANT CREATE ON SCHEMA "public" TO "{name}";'
        assert said.startswith(
            "positionstore: PostgreSQL says: permission denied for schema public."
        )
        assert said.endswith(grant)
        with connected(url) as admin:
            admin.execute(grant.encode())
        assert "Brought the schema" in (await programs.run("migrate")).out
        assert "ok" in (await programs.run("check")).out


async def test_migrate_without_usage_of_the_schema_names_the_grant(
    embedded_server: EmbeddedServer, programs: Programs
) -> None:
    with fresh_database(embedded_server) as url, a_role(url) as (name, theirs):
        with connected(url) as admin:
            admin.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        programs.environment["DATABASE_URL"] = theirs
        said = one_line((await programs.run("migrate", expect=2)).err)
        assert said.endswith(f'GRANT USAGE ON SCHEMA "public" TO "{name}";')


@pytest.mark.parametrize("grant", ["", "GRANT CREATE ON SCHEMA public TO {role}"])
async def test_migrate_as_another_than_the_owner_names_the_owner(
    programs: Programs, store_url: str, urls: Urls, grant: str
) -> None:
    owner = conninfo_to_dict(urls[Role.OWNER])["user"]
    with connected(store_url) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '0010'")
    others = ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
              "GRANT CONNECT ON DATABASE {database} TO {role}",
              "GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO {role}")  # fmt: skip
    with a_role(store_url, *others, *filter(None, [grant])) as (_, url):
        for each in (url, urls[Role.WRITER], urls[Role.READER]):
            programs.environment["DATABASE_URL"] = each
            said = one_line((await programs.run("migrate", expect=1)).err)
            user = conninfo_to_dict(each)["user"]
            assert f"Migrate as {owner}, the tables' owner" in said
            assert said.endswith(f'GRANT "{owner}" TO "{user}";')


LACKING = [
    ("REVOKE SELECT ON alembic_version FROM {}", ["status"]),
    ("REVOKE SELECT ON quarantine FROM {}", ["status"]),
    ("REVOKE SELECT ON positions FROM {}", ["verify"]),
    ("REVOKE SELECT ON positions FROM {}", ["export", "positions", "--out", "positions.csv"]),
    ("REVOKE INSERT ON reconciliation_runs FROM {}", ["reconcile"]),
    ("REVOKE INSERT ON events FROM {}", ["run"]),
]


@pytest.mark.parametrize(("revoke", "command"), LACKING)
async def test_a_command_that_lacks_a_right_says_which_and_where_to_read_the_grant(
    programs: Programs, store_url: str, urls: Urls, revoke: str, command: list[str]
) -> None:
    writer = str(conninfo_to_dict(urls[Role.WRITER])["user"])
    with connected(store_url) as admin:
        admin.execute(sql.SQL(revoke).format(sql.Identifier(writer)))
    programs.environment["DATABASE_URL"] = urls[Role.WRITER]
    options = Options(seed=7, positions=9, rate=30.0, api_key_lists=True, warm_up=60.0)
    async with Sandbox(options) as sandbox:
        programs.against(sandbox)
        done = await ended(await programs.start(*command))
    assert done.code in {1, 2}
    said = done.err.splitlines()[-1]
    assert "permission denied for table" in said
    assert "`positionstore check` names" in said
    checked = (await programs.run("check", expect=3)).out
    privilege, table = revoke.split()[1], revoke.split()[3]
    grant = f'GRANT {privilege} ON TABLE public.{table} TO "{writer}";'
    assert grant in checked.splitlines()
