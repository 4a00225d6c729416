"""``positionstore db``: the database in use, for any tool."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact
from positionstore.cli.logins import Login, url_of
from positionstore.embedded import server as embedded
from positionstore.embedded.binaries import find_psql
from positionstore.embedded.server import EmbeddedServer
from positionstore.settings import Settings
from positionstore.store import embedded_roles
from positionstore.store.database import opened
from positionstore.store.grants import Role
from positionstore.store.psql import libpq_environment, run_psql, url_in_schema

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
    yield url_of(login, settings, settings.database_url.get_secret_value())


def _url_as(login: Login | None, server: EmbeddedServer, settings: Settings) -> str:
    if login in {Login.SUPERUSER, Login.GIVEN}:
        return server.url()
    with opened(settings):  # which makes the roles where there are none yet
        return embedded_roles.url_as(server, Role(login or Login.READER))
