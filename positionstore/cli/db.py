"""``positionstore db``: let any tool into the database in use."""

import typer

from positionstore.cli.start import start
from positionstore.store import embedded
from positionstore.store.binaries import find_psql
from positionstore.store.psql import run_psql

app = typer.Typer(
    help="The database in use.\n\nExample: positionstore db psql", no_args_is_help=True
)


@app.command()
def url() -> None:
    """Print the URL of the database in use, password included, for any tool.

    The embedded server is started if need be, and goes on until `positionstore db stop`.

    Example: psql "$(positionstore db url)"
    """
    settings = start()
    if settings.database_url is not None:
        typer.echo(settings.database_url.get_secret_value())
        return
    with embedded.running(settings.data_dir, keep=True, bin_dir=settings.pg_bin) as server:
        typer.echo(server.url())
    typer.echo("The embedded server goes on until `positionstore db stop`.", err=True)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
)
def psql(context: typer.Context) -> None:
    """Open psql on the database in use; arguments are handed on to it.

    Example: positionstore db psql -c 'SELECT count(*) FROM events'
    """
    settings = start()
    if settings.database_url is not None:
        database_url = settings.database_url.get_secret_value()
        raise typer.Exit(run_psql(find_psql(settings.pg_bin), database_url, context.args))
    program = find_psql(settings.pg_bin)
    with embedded.running(settings.data_dir, bin_dir=settings.pg_bin) as server:
        code = run_psql(program, server.url(), context.args)
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
