"""``positionstore systemd``: prints or writes systemd units."""

from pathlib import Path
from typing import Annotated, Final

import typer

from positionstore.cli.console import print_exact, print_line
from positionstore.errors import ConfigurationError
from positionstore.service.units import Installation, units

_OURS: Final = Path(__file__).resolve().parents[2]
_ELSEWHERE: Final = Path("/opt/positionstore")


def _checkout() -> Path:
    return _OURS if (_OURS / "scripts" / "nightly_reconcile.py").exists() else _ELSEWHERE


def systemd(
    *,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="Write the files there instead of printing them."),
    ] = None,
    checkout: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="The checkout that is to run, with its .venv; else the one this command is of.",
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="The system user that it runs as.")] = "positionstore",
    data_dir: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="What POSITIONSTORE_DATA_DIR is to be.")
    ] = Path("/var/lib/positionstore"),
    environment_file: Annotated[
        Path, typer.Option(metavar="FILE", help="Holds the settings; mode 0600.")
    ] = Path("/etc/positionstore.env"),
    nightly_at: Annotated[
        str, typer.Option(metavar="HH:MM", help="When the nightly job starts, UTC.")
    ] = "05:15",
) -> None:
    """Print systemd units for the service and the nightly job.

    The service reports to systemd when it is ready and how it is doing, and is restarted if its
    event loop is blocked. Settings come from the environment file; a unit contains no secrets.

    Example: positionstore systemd --directory /etc/systemd/system
    """
    made = units(
        Installation(
            checkout=(checkout or _checkout()).absolute(),
            data_dir=data_dir.absolute(),
            environment_file=environment_file.absolute(),
            user=user,
            nightly_at=nightly_at,
        )
    )
    if directory is None:
        for name, text in made.items():
            print_exact(f"# /etc/systemd/system/{name}\n{text}")
        return
    for name, text in made.items():
        path = directory / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written: {error.strerror}.",
                remedy="Name a directory that there is, as a user who may write to it.",
            ) from None
        print_line(f"{path} is written.")
    print_line("Next: systemctl daemon-reload")
    print_line("systemctl enable --now positionstore.service positionstore-nightly.timer")
