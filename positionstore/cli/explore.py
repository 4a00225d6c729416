"""``positionstore explore``: queries and charts in the browser."""

from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_line
from positionstore.cli.logins import url_of
from positionstore.explore.server import PORT, see_the_extra, serve
from positionstore.store.database import opened


def explore(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help=f"The port, 0 for any; by default {PORT}, or any where that is taken.",
        ),
    ] = None,
) -> None:
    """Explore the store in the browser: SQL as the reader, the documented views, a chart, CSV.

    It listens on this machine only and prints an address with a token. Each query runs in a
    transaction that cannot write, for a minute at most. Needs the extra `explore` of positionstore.

    Example: positionstore explore
    """
    settings = start()
    see_the_extra()
    given, reader = settings.database_url, None
    with opened(settings):  # so that what is wrong is said here, and the embedded server goes on
        if given is not None:
            reader = url_of(None, settings, given.get_secret_value())
        code = serve(port, url=reader, ready=_ready)
    raise typer.Exit(code)


def _ready(address: str) -> None:
    print_line(f"Explore the store at {address}")
    print_line("It goes on until Ctrl-C.")
