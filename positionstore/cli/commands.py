"""The list of commands and their modules.

A command is listed with its summary, so that help and shell completion need not import it. Its
module is imported when it is called.
"""

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from positionstore.cli.interrupts import ending_at_once

_SEE: Final = "See what is there"
_KEEP: Final = "Keep the books"
_TRY: Final = "Try and develop"

COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "demo": (_TRY, "demo:demo", "Show the whole system at work, with nothing to configure."),
    "sandbox": (
        _TRY,
        "sandbox:sandbox",
        "Run a local gateway and REST API to develop and test against.",
    ),
    "migrate": (_KEEP, "migrate:migrate", "Bring the database's schema to head."),
    "roles": (
        _KEEP,
        "roles:roles",
        "Make an owner, a writer, a reader and a builder, each with no more rights than it needs.",
    ),
    "ingest": (_KEEP, "ingest:ingest", "Write what a gateway sends into the store."),
    "run": (_KEEP, "run:run", "Run the service: the ingester and the periodic reconciler."),
    "reconcile": (
        _KEEP,
        "reconcile:reconcile",
        "Compare the store with GET /positions, and repair what differs.",
    ),
    "backfill": (
        _KEEP,
        "backfill:backfill",
        "Repair what was missed: every gap that nothing has repaired, a window, or all of history.",
    ),
    "import": (
        _KEEP,
        "import_:import_files",
        "Append captured events, or the log of another store, to the store.",
    ),
    "archive": (
        _KEEP,
        "archive:archive",
        "Move the facts of positions that ended long ago out of the log, into Parquet.",
    ),
    "retract": (
        _KEEP,
        "retract:retract",
        "Declare a fact of the log wrong, or take that back.",
    ),
    "rebuild": (_KEEP, "projection:rebuild", "Fold the log again and replace the positions."),
    "verify": (_SEE, "projection:verify", "Fold the log and compare it with the positions."),
    "status": (
        _SEE,
        "status:status",
        "Show connection, lag, gaps, drift, spool and sizes at a glance.",
    ),
    "check": (
        _SEE,
        "check:check",
        "Check whether the book can be trusted, one line a check.",
    ),
    "systemd": (
        _KEEP,
        "systemd:systemd",
        "Print systemd units for the service and the nightly job.",
    ),
    "dbt": (_SEE, "dbt:dbt", "Write a dbt project: sources, models and a snapshot."),
    "tail": (_SEE, "tail:tail", "Follow the log: each fact once, in the order of the log."),
    "export": (
        _SEE,
        "export:export",
        "Export a table, a view or a query as Parquet, CSV, JSON Lines or a table of Iceberg.",
    ),
    "lake": (
        _SEE,
        "lake:app",
        "The log as a table of Iceberg, and the fold of it by DuckDB or Spark.",
    ),
    "explore": (
        _SEE,
        "explore:explore",
        "Explore the store in the browser: SQL as the reader, the documented views, a chart, CSV.",
    ),
    "quarantine": (_SEE, "quarantine:app", "Inputs that could not be understood."),
    "spool": (_SEE, "spool:app", "Inputs that wait on disk for the database."),
    "config": (_SEE, "config:config", "Show every setting in effect, and where it comes from."),
    "db": (_SEE, "db:app", "The database in use."),
}
"""Name: the help panel, the module and its function, the summary."""

SCRIPTS: Final = {"nightly": "nightly:nightly"}
"""What is called by a script of its own, and is no command: the module and what it holds."""


class _Listed(TyperCommand):
    """A command that is imported when it is called."""

    def __init__(self, name: str) -> None:
        panel, _, summary = COMMANDS[name]
        super().__init__(name, help=summary, rich_help_panel=panel)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Build the context of the real command."""
        return load(str(self.name)).make_context(*args, **kwargs)


def load(name: str) -> Any:
    """Import the command, or the script's, ``name``."""
    place = SCRIPTS[name] if name in SCRIPTS else COMMANDS[name][1]
    module, _, attribute = place.partition(":")
    with ending_at_once():
        found = getattr(importlib.import_module(f"positionstore.cli.{module}"), attribute)
    group = typer.Typer(add_completion=False, rich_markup_mode="rich", callback=_nothing)
    if isinstance(found, typer.Typer):
        group.add_typer(found, name=name)
    else:
        group.command(name)(found)
    command = _as_group(group).commands[name]
    for each in (command, *getattr(command, "commands", {}).values()):
        _dress(each)
    return command


def program() -> TyperGroup:
    """Build the whole command line."""
    group = _as_group(
        typer.Typer(rich_markup_mode="rich", no_args_is_help=True, callback=_positionstore)
    )
    for name in COMMANDS:
        group.add_command(_Listed(name))
    _dress(group)
    return group


def flowing(text: str | None) -> str:
    """Return a docstring with one line per paragraph: the terminal wraps it."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _dress(command: Any) -> None:
    """Format the help of a command, and leave the defaults of its options alone."""
    command.help = flowing(command.help)
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""  # else it would seem to want a value
        if not (parameter.required or parameter.multiple or parameter.nargs != 1):
            parameter.process_value = partial(_processed, parameter, parameter.process_value)


def _processed(parameter: Any, process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Return an option's value as a command takes it.

    A default is of the right type. typer would import pydantic to see that: a third of the
    start-up, and seven megabytes of a service that has an option.
    """
    if value is not parameter.default:
        return process(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _as_group(app: typer.Typer) -> TyperGroup:
    group = get_command(app)
    if not isinstance(group, TyperGroup):
        raise TypeError("typer made a single command of an app with a callback")
    return group


def _nothing() -> None:
    pass


def _print_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - a fifth of the start-up time

        typer.echo(f"positionstore {version('positionstore')}")
        raise typer.Exit


def _positionstore(
    *,
    version: bool = typer.Option(
        False,
        "--version",
        is_eager=True,
        callback=lambda value: _print_version(wanted=value),
        help="Show the version and exit.",
    ),
) -> None:
    """Keep the books of leveraged prediction-market positions.

    An append-only event log, a positions table that is right, and proof that it is right.
    Settings come from the environment or a .env file: see `positionstore config`.

    Example: positionstore demo
    """
