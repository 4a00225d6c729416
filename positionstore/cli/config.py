"""``positionstore config``: the settings in effect."""

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import is_narrow, print_json, print_table
from positionstore.cli.masking import MASK, masked
from positionstore.model.secret import SecretStr
from positionstore.settings import Settings, environment_variable, given, meaning

_WIDE: Final = 110
"""Columns of a terminal that has room for the settings' meanings."""


class _Row(NamedTuple):
    variable: str
    value: str | None
    origin: str
    meaning: str


def config(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Show every setting in effect, and where it comes from.

    A setting comes from the environment, from a .env file in this directory, or is the default. A
    secret may be in a separate file, which DIMES_API_KEY_FILE, DIMES_JWT_FILE or DATABASE_URL_FILE
    names. Secrets are masked.

    Example: positionstore config --json
    """
    settings = start()
    rows = list(_rows(settings))
    if as_json:
        print_json({row.variable: row._asdict() for row in rows})
    else:
        # In a narrow column the meanings would fill screens; docs/settings.md has them too.
        fields = _Row._fields[:3] if is_narrow(_WIDE) else _Row._fields
        print_table(fields, [row[: len(fields)] for row in rows])


def _rows(settings: Settings) -> Iterator[_Row]:
    found = given()
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "base_url_setting" and (settings.api_key or value):
            value = settings.base_url  # checked: a host that is refused must not look in force
        yield _Row(
            environment_variable(name),
            _shown(value),
            found[name].origin if name in found else "default",
            meaning(name),
        )


def _shown(value: object) -> str | None:
    match value:
        case None:
            return None
        case SecretStr():
            secret = value.get_secret_value()
            return masked(secret) if secret.startswith(("dm_", "postgres")) else MASK
        case tuple():
            return ",".join(value)
        case _:
            return str(value)
