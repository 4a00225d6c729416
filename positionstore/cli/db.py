"""``positionstore db``: let any tool into the database in use."""

from collections.abc import Callable
from typing import Annotated

import typer

from positionstore.cli.console import print_exact
from positionstore.cli.start import start
from positionstore.errors import ConfigurationError
from positionstore.settings import Settings
from positionstore.store import embedded, embedded_roles
from positionstore.store.binaries import find_psql
from positionstore.store.database import opened
from positionstore.store.embedded import EmbeddedServer
from positionstore.store.grants import Role
from positionstore.store.psql import run_psql

As = Annotated[
    Role | None,
    typer.Option("--as", help="As which role; on the embedded server alone, else its superuser."),
]

app = typer.Typer(
    help="The database in use.\n\nExample: positionstore db psql", no_args_is_help=True
)


@app.command()
def url(*, role: As = None) -> None:
    """Print the URL of the database in use, password included, for any tool.

    The embedded server is started if need be, and goes on until `positionstore db stop`. Give a
    dashboard or a notebook the reader's: --as reader.

    Example: psql "$(positionstore db url)"
    """
    settings = start()
    if settings.database_url is not None:
        _refuse(role)
        print_exact(settings.database_url.get_secret_value())
        return
    url_of = _urls(settings, role)
    with embedded.running(settings.data_dir, keep=True, bin_dir=settings.pg_bin) as server:
        print_exact(url_of(server))
    typer.echo("The embedded server goes on until `positionstore db stop`.", err=True)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
)
def psql(context: typer.Context, *, role: As = None) -> None:
    """Open psql on the database in use; arguments are handed on to it.

    Example: positionstore db psql -c 'SELECT count(*) FROM events'
    """
    settings = start()
    if settings.database_url is not None:
        _refuse(role)
        database_url = settings.database_url.get_secret_value()
        raise typer.Exit(run_psql(find_psql(settings.pg_bin), database_url, context.args))
    program = find_psql(settings.pg_bin)
    url_of = _urls(settings, role)
    with embedded.running(settings.data_dir, bin_dir=settings.pg_bin) as server:
        code = run_psql(program, url_of(server), context.args)
    raise typer.Exit(code)


@app.command()
def stop() -> None:
    """Stop the embedded server, whoever uses it.

    Example: positionstore db stop
    """
    settings = start()
    if settings.database_url is not None:
        typer.echo("DATABASE_URL is set: the embedded server is not in use.", err=True)
    stopped = embedded.stop(settings.data_dir)
    typer.echo("Stopped." if stopped else "It was not running.", err=True)


def _refuse(role: Role | None) -> None:
    if role is not None:
        raise ConfigurationError(
            "--as is for the embedded server, and DATABASE_URL is set.",
            remedy="`positionstore roles` keeps the URL of each role in a file.",
        )


def _urls(settings: Settings, role: Role | None) -> Callable[[EmbeddedServer], str]:
    if role is None:
        return EmbeddedServer.url
    with opened(settings):  # which makes the roles where there are none yet
        return lambda server: embedded_roles.url_as(server, role)
