"""What the data directory remembers of a store: whose data it holds, while it cannot be asked."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from psycopg.conninfo import conninfo_to_dict

from positionstore.embedded.cluster import write_private
from positionstore.settings import Environment, Settings

FILE: Final = "known-store.json"

_WHERE: Final = ("service", "host", "hostaddr", "port", "dbname")
"""What of a URL says which database it is; user and password may change."""


class _Known(msgspec.Struct):
    where: dict[str, str]
    environment: Environment


def remember(data_dir: Path, url: str | None, environment: Environment) -> None:
    """Note that the database of this URL holds the data of this environment.

    None for a URL is the directory's own, the embedded server's, whatever its port.
    A directory that cannot be written to is none of this one's business: nothing is remembered.
    """
    if environment_of(data_dir, url) is environment:
        return
    with suppress(OSError):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(
            data_dir / FILE, msgspec.json.encode(_Known(_where(url), environment)).decode()
        )


def environment_of(data_dir: Path, url: str | None) -> Environment | None:
    """Return whose data the database of this URL held when it was last asked; None if unknown."""
    try:
        known = msgspec.json.decode((data_dir / FILE).read_bytes(), type=_Known)
    except (OSError, ValueError):
        return None
    return known.environment if known.where == _where(url) else None


def database_name(settings: Settings) -> str:
    """Return which database it is, for a person: neither user nor password, nor other options."""
    if settings.database_url is None:
        return f"embedded, in {settings.data_dir}"
    where = _where(settings.database_url.get_secret_value())
    place = where.get("host") or where.get("hostaddr") or where.get("service") or "the default host"
    port = f":{where['port']}" if "port" in where else ""
    return f"{where.get('dbname', 'the default database')} on {place}{port}"


def _where(url: str | None) -> dict[str, str]:
    if url is None:
        return {"embedded": "of this directory"}
    asked = conninfo_to_dict(url)
    return {name: str(asked[name]) for name in _WHERE if asked.get(name)}
