"""``positionstore roles``: the roles of the database and their privileges."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact, print_json, print_line
from positionstore.embedded.cluster import write_private
from positionstore.errors import ConfigurationError
from positionstore.escaping import printable
from positionstore.store import migrations, refusals
from positionstore.store import roles as database_roles
from positionstore.store.database import opened
from positionstore.store.grants import Role, Roles
from positionstore.store.other_roles import OtherRight, Weight, other_rights
from positionstore.store.roles import DEFAULT_PREFIX, Applied, recorded, url_of

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,40}")


def roles(
    *,
    prefix: Annotated[
        str | None,
        typer.Option(help=f"What their names begin with; {DEFAULT_PREFIX} where there are none."),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(help="The folder for the URL files; by default roles/ in the data directory."),
    ] = None,
    renew: Annotated[
        list[Role] | None,
        typer.Option("--new-password", help="Give this existing role a new password."),
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the missing SQL without executing it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Make an owner, a writer, a reader and a builder, each with no more rights than it needs.

    The owner migrates. The service runs as the writer, which cannot change a fact of the log. The
    reader is for analysts and their tools. The builder reads the same, and makes models in a schema
    of its own, as dbt does. DATABASE_URL must be that of a superuser, or of a role
    that may create roles and owns the database and its objects. You can run it again at any time;
    it changes only what is missing. Other roles with privileges on the store are listed, with the
    SQL that revokes those that can change it; run that yourself.

    Passwords are random and never shown. The URL of each role goes into a file that only you can
    read, for DATABASE_URL_FILE. On the embedded server all of this happens automatically.

    Example: positionstore roles --print
    """
    settings = start()
    if settings.database_url is None:
        raise ConfigurationError(
            "The embedded server has its roles from the beginning.",
            remedy="`positionstore db url --as reader` prints a role's URL.",
        )
    kept: dict[str, str] = {}
    with opened(settings, check=False) as store, store.connect() as connection:
        # Another program's tables are not given away; who may not look at them cannot do that.
        with suppress(psycopg.errors.InsufficientPrivilege):
            migrations.current(connection)
        known = recorded(connection)
        begin = known.prefix if known else DEFAULT_PREFIX
        which = Roles(_checked(prefix) if prefix else begin)
        if only_print:
            for statement in database_roles.plan(connection, which):
                print_exact(f"{statement};")
            for right in other_rights(connection, which):
                _print_other(right, "-- ")
            return
        folder = directory or settings.data_dir / "roles"

        def keep(passwords: Mapping[Role, str]) -> None:
            if passwords:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for role, password in passwords.items():
                path = folder / f"{which.name(role)}.url"
                write_private(path, url_of(store.url, which.name(role), password) + "\n")
                kept[which.name(role)] = str(path)

        try:
            applied = database_roles.apply(connection, which, keep=keep, renew=renew or ())
        except psycopg.errors.InsufficientPrivilege as error:
            raise refusals.of_roles(error) from None
        others = other_rights(connection, which)
    if as_json:
        print_json(
            {
                "roles": {str(role): which.name(role) for role in Role},
                "urls": kept,
                "statements": applied.statements,
                "open_doors": applied.open_doors,
                "other_roles": [asdict(right) for right in others],
            }
        )
    else:
        _tell(applied, kept, others)


def _tell(applied: Applied, kept: Mapping[str, str], others: Sequence[OtherRight]) -> None:
    for name, path in kept.items():
        print_line(f"{name}: its URL is in {path}")
    print_line(f"{len(applied.statements)} statements executed." if applied.statements else _DONE)
    for right in others:
        _print_other(right)
    if applied.open_doors:
        typer.echo(_OPEN_DOORS, err=True)


def _print_other(right: OtherRight, comment: str = "") -> None:
    """List another role, and the SQL that revokes the privileges it should not have."""
    may = printable(f"{right.role} has {right.may}")
    if right.weight is Weight.ALLOWED:
        print_exact(f"{comment}{may}")
        return
    print_exact(f"{comment}{may}; to take it back:")
    print_exact(f"{right.statement};")


_DONE = "Nothing was missing."
_OPEN_DOORS = (
    "Readers can still take advisory locks and write large objects: only a superuser can change "
    "that. `positionstore roles --print` prints what is missing."
)


def _checked(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"{prefix} cannot begin the name of a role.",
            remedy="Use small letters, digits and _, and a letter first.",
        )
    return prefix
