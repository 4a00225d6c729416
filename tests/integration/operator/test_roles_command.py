"""``positionstore roles``, as an administrator runs it."""

import shlex
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.programs import Programs, programs_on
from support.roles import connected, drop_roles

from positionstore.store.grants import Roles


@pytest.fixture
def roles(any_store_url: str) -> Iterator[Roles]:
    """Names that no other test has; the roles are dropped afterwards."""
    roles = Roles(str(conninfo_to_dict(any_store_url)["dbname"]))
    yield roles
    there = "SELECT 1 FROM pg_roles WHERE rolname = ANY (%s)"
    with connected(any_store_url) as connection:
        made = connection.execute(there, [roles.names]).fetchall()
    if made:
        drop_roles(any_store_url, roles)


def kept(folder: Path) -> dict[str, str]:
    """The URLs in a folder, by the role's name."""
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in folder.iterdir()}


@pytest.fixture
async def programs(any_store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(any_store_url, tmp_path) as programs:
        yield programs


async def test_it_keeps_each_url_in_a_file_that_only_its_owner_reads(
    programs: Programs, roles: Roles, any_store_url: str, tmp_path: Path
) -> None:
    done = await programs.run("roles", "--prefix", roles.prefix)
    folder = tmp_path / "data" / "roles"
    urls = kept(folder)
    assert set(urls) == set(roles.names)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name, url in urls.items():
        assert str(folder / f"{name}.url") in done.out
        assert str(conninfo_to_dict(url)["password"]) not in done.out + done.err
        with connected(url) as connection:
            assert connection.info.user == name

    # From then on the service is the writer, by the file alone.
    del programs.environment["DATABASE_URL"]
    programs.environment["DATABASE_URL_FILE"] = str(folder / f"{roles.prefix}_writer.url")
    await programs.run("verify")
    refused = await programs.run("roles", "--new-password", "reader", expect=1)
    assert "`positionstore roles --print` prints the SQL that is missing" in refused.err
    assert len(refused.err.splitlines()) == 1


async def test_db_url_and_psql_are_the_readers_first(
    programs: Programs, roles: Roles, any_store_url: str, tmp_path: Path
) -> None:
    none_yet = await programs.run("db", "url")
    assert none_yet.out.strip() == any_store_url
    assert "not the reader: there are no roles yet" in none_yet.err
    asked = await programs.run("db", "url", "--as", "reader", expect=2)
    assert "Run `positionstore roles`" in asked.err

    await programs.run("roles", "--prefix", roles.prefix)
    urls = kept(tmp_path / "data" / "roles")
    reader = f"{roles.prefix}_reader"
    assert (await programs.run("db", "url")).out.strip() == urls[reader]
    owner = await programs.run("db", "url", "--as", "owner")
    assert owner.out.strip() == urls[f"{roles.prefix}_owner"]
    builder = f"{roles.prefix}_builder"
    assert (await programs.run("db", "url", "--as", "builder")).out.strip() == urls[builder]
    assert (await programs.run("db", "psql", "--as", "builder", "-Atc", "SELECT user")).out == (
        f"{builder}\n"
    )
    env = shlex.split((await programs.run("db", "env", "--as", "builder")).out)
    password = conninfo_to_dict(urls[builder])["password"]
    assert {f"PGUSER={builder}", f"PGPASSWORD={password}"} < set(env)
    assert (await programs.run("db", "url", "--as", "given")).out.strip() == any_store_url
    await programs.run("db", "url", "--as", "superuser", expect=2)

    # Without the files: the same role, as DATABASE_URL's may act as it.
    (tmp_path / "data" / "roles" / f"{reader}.url").unlink()
    url = (await programs.run("db", "url")).out.strip()
    with connected(url) as connection:
        assert connection.execute(
            "SELECT current_user, current_setting('timezone')"
        ).fetchall() == [(reader, "UTC")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM positions")
    shown = "SELECT current_user, current_setting('timezone')"
    assert (await programs.run("db", "psql", "-Atc", shown)).out.strip() == f"{reader}|UTC"


async def test_again_it_does_nothing_but_give_a_new_password_to_who_is_named(
    programs: Programs, roles: Roles, tmp_path: Path
) -> None:
    first = (await programs.run("roles", "--prefix", roles.prefix, "--json")).json
    assert len(first["statements"]) > 30
    assert set(first["urls"]) == set(roles.names)
    assert first["open_doors"] is False
    # The prefix is known by now.
    assert "Nothing was missing" in (await programs.run("roles")).out
    assert (await programs.run("roles", "--print")).out == ""
    again = (await programs.run("roles", "--json", "--new-password", "reader")).json
    assert again["statements"] == []
    assert list(again["urls"]) == [f"{roles.prefix}_reader"]
    for name, url in kept(tmp_path / "data" / "roles").items():
        with connected(url) as connection:
            assert connection.info.user == name


async def test_what_it_prints_another_may_execute_and_no_secret_is_in_it(
    programs: Programs, roles: Roles, any_store_url: str
) -> None:
    printed = (await programs.run("roles", "--prefix", roles.prefix, "--print")).out
    assert "PASSWORD" not in printed
    with psycopg.connect(any_store_url) as connection:
        connection.execute(printed.encode())
    assert (await programs.run("roles", "--print")).out == ""


async def test_a_name_that_is_none_is_refused(programs: Programs) -> None:
    done = await programs.run("roles", "--prefix", 'x"; DROP', expect=2)
    assert "cannot begin the name of a role" in done.err


async def test_the_embedded_server_has_its_own(programs: Programs) -> None:
    del programs.environment["DATABASE_URL"]
    done = await programs.run("roles", expect=2)
    assert "db url --as reader" in done.err
