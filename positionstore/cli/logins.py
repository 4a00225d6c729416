"""The roles that a person may connect as, and the URL of each."""

from contextlib import suppress
from enum import StrEnum

import typer

from positionstore.errors import ConfigurationError
from positionstore.settings import Settings
from positionstore.store.database import opened
from positionstore.store.grants import Role
from positionstore.store.psql import url_as_role
from positionstore.store.roles import may_act_as, recorded


class Login(StrEnum):
    """The role to connect as; ``GIVEN`` is that of ``DATABASE_URL``."""

    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"
    BUILDER = "builder"
    SUPERUSER = "superuser"
    GIVEN = "given"


def url_of(login: Login | None, settings: Settings, url: str) -> str:
    """Return the URL for a role of a database that is not ours to start.

    Args:
        login: the role; None for the reader, or else, with a line that says so, that of ``url``.
        settings: where the roles' files are, and how the database is opened.
        url: ``DATABASE_URL``.

    Raises:
        ConfigurationError: there is no such role, or it cannot be had.
        DatabaseUnavailableError: the server cannot be reached.
    """
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
