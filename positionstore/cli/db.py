"""``positionstore db``: the database in use, for any tool."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact
from positionstore.embedded import server as embedded
from positionstore.embedded.binaries import find_psql
from positionstore.embedded.server import EmbeddedServer
from positionstore.errors import ConfigurationError
from positionstore.settings import Settings
from positionstore.store import embedded_roles
from positionstore.store.database import opened
from positionstore.store.grants import Role
from positionstore.store.psql import libpq_environment, run_psql, url_as_role, url_in_schema
from positionstore.store.roles import may_act_as, recorded


class Login(StrEnum):
    """The role to connect as; ``GIVEN`` is that of ``DATABASE_URL``."""

    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"
    BUILDER = "builder"
    SUPERUSER = "superuser"
    GIVEN = "given"


As = Annotated[
    Login | None,
    typer.Option(
        "--as",
        help="As whom; the reader unless another is asked for. superuser: on the embedded server;"
        " given: as DATABASE_URL says.",
    ),
]

app = typer.Typer(
    help="The database in use.\n\nExample: positionstore db psql", no_args_is_help=True
)


@app.command()
def url(*, login: As = None) -> None:
    """Print the URL of the database in use, password included, for any tool.

    The embedded server is started if needed, and keeps running until `positionstore db stop`. Its
    URL is the reader's, which can change nothing, unless you choose another role with --as. With
    DATABASE_URL it is that of the file that `positionstore roles` wrote; where there is none, that
    of DATABASE_URL for sessions that act as the reader.

    Example: psql "$(positionstore db url)"
    """
    settings = start()
    schema = settings.schema_name
    with _database(settings, login, keep=True) as found:
        print_exact(found if schema is None else url_in_schema(found, schema))
    if settings.database_url is None:
        typer.echo("The embedded server goes on until `positionstore db stop`.", err=True)


@app.command()
def env(*, login: As = None) -> None:
    """Print the database in use as PGHOST, PGUSER and so on, password included, for a shell.

    For tools that take no URL, as dbt. --as as for `db url`.

    Example: eval "$(positionstore db env --as builder)"
    """
    settings = start()
    with _database(settings, login, keep=True) as found:
        variables = libpq_environment(found, settings.schema_name)
    for name, value in variables.items():
        print_exact(f"export {name}={shlex.quote(value)}")


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
)
def psql(context: typer.Context, *, login: As = None) -> None:
    """Open psql on the database in use; arguments are passed on to it.

    You are the reader, who can change nothing, unless you choose another role with --as.

    Example: positionstore db psql -c 'SELECT count(*) FROM events'
    """
    settings = start()
    program = find_psql(settings.pg_bin)
    with _database(settings, login) as found:
        code = run_psql(program, found, context.args, schema=settings.schema_name)
    raise typer.Exit(code)


@app.command()
def stop() -> None:
    """Stop the embedded server, even if it is in use.

    Example: positionstore db stop
    """
    settings = start()
    if settings.database_url is not None:
        typer.echo("DATABASE_URL is set: the embedded server is not in use.", err=True)
    stopped = embedded.stop(settings.data_dir)
    typer.echo("Stopped." if stopped else "It was not running.", err=True)


@contextmanager
def _database(settings: Settings, login: Login | None, *, keep: bool = False) -> Iterator[str]:
    """Yield the URL of the database in use; an embedded server runs meanwhile."""
    if settings.database_url is None:
        with embedded.running(settings.data_dir, keep=keep, bin_dir=settings.pg_bin) as server:
            yield _url_as(login, server, settings)
        return
    yield _url_of(login, settings, settings.database_url.get_secret_value())


def _url_of(login: Login | None, settings: Settings, url: str) -> str:
    """Return the URL for a role of a database that is not ours to start."""
    if login is Login.GIVEN:
        return url
    if login is Login.SUPERUSER:
        raise ConfigurationError(
            "--as superuser is for the embedded server, and DATABASE_URL is set.",
            remedy="Use --as given for the role of DATABASE_URL.",
        )
    role = Role(login or Login.READER)
    with opened(settings, check=False) as store, store.connect() as connection:
        known = recorded(connection)
        name = known.name(role) if known else ""
        is_there = known is not None and name in known.names
        may = is_there and may_act_as(connection, name)
        if connection.info.user == name:
            return url
    with suppress(OSError):
        return (settings.data_dir / "roles" / f"{name}.url").read_text(encoding="utf-8").strip()
    if may:
        return url_as_role(url, name)
    cause = "there are no roles yet" if known is None else f"there is no {name} yet"
    if is_there:
        cause = f"DATABASE_URL's role may not act as {name}"
    if login is not None:
        raise ConfigurationError(
            f"There is no URL of the {role}: {cause}.",
            remedy="Run `positionstore roles`, which keeps the URL of each role in a file.",
        )
    typer.echo(
        f"This is the role of DATABASE_URL, not the reader: {cause}. See `positionstore roles`.",
        err=True,
    )
    return url


def _url_as(login: Login | None, server: EmbeddedServer, settings: Settings) -> str:
    if login in {Login.SUPERUSER, Login.GIVEN}:
        return server.url()
    with opened(settings):  # which makes the roles where there are none yet
        return embedded_roles.url_as(server, Role(login or Login.READER))
