"""``psql``, let into a database without its password in any argument."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from positionstore import postgres_url
from positionstore.errors import ConfigurationError
from positionstore.store import session

_OUR_SECRETS = re.compile("DIMES_.*|DATABASE_URL.*")


def libpq_environment(url: str, schema: str | None = None) -> dict[str, str]:
    """Return a database URL as the ``PG...`` variables that every libpq program reads.

    The few connection options that have no variable (``keepalives`` and its like) are left out.

    Args:
        url: as in ``DATABASE_URL``; a SQLAlchemy driver in its scheme is passed over.
        schema: the one to be in; None leaves the ``search_path`` as it is.

    Raises:
        ConfigurationError: it is no database URL. It is not shown: it may hold a password.
    """
    try:
        given = conninfo_to_dict(re.sub(r"^(postgres(?:ql)?)\+\w+:", r"\1:", url))
    except psycopg.ProgrammingError:
        cause, remedy = postgres_url.unreadable(url)
        raise ConfigurationError(cause, remedy=remedy) from None
    if schema is not None:
        given["options"] = in_schema(str(given.get("options") or ""), schema)
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
    return {
        variables[keyword]: str(value)
        for keyword, value in given.items()
        if keyword in variables and value is not None
    }


def in_schema(options: str, schema: str) -> str:
    """Return libpq's ``options`` with a schema as the ``search_path``.

    Args:
        options: what they are else.
        schema: its name.
    """
    # A blank in an option has a backslash in front, and so has a backslash.
    path = re.sub(r"([\\\s])", r"\\\1", session.quoted(schema))
    return f"{options} -csearch_path={path}".strip()


def url_in_schema(url: str, schema: str) -> str:
    """Return the URL of a database, or its keywords and values, for a schema of it.

    Args:
        url: as in ``DATABASE_URL``.
        schema: its name.
    """
    return _with_options(url, in_schema(str(conninfo_to_dict(url).get("options") or ""), schema))


def url_as_role(url: str, role: str) -> str:
    """Return the URL of a database, for sessions that begin as another role, in UTC.

    Args:
        url: as in ``DATABASE_URL``.
        role: one that its own role may act as.
    """
    before = str(conninfo_to_dict(url).get("options") or "")
    return _with_options(url, f"{before} -crole={role} -ctimezone=UTC".strip())


def _with_options(url: str, options: str) -> str:
    parts = postgres_url.split(url)
    if parts is None:
        return make_conninfo(url, options=options)
    kept = [p for p in parts.query.split("&") if p.partition("=")[0] not in {"", "options"}]
    query = "&".join([*kept, f"options={quote(options, safe='')}"])
    before = url[: -len(parts.query)].removesuffix("?") if parts.query else url.removesuffix("?")
    return f"{before}?{query}"


def run_psql(
    psql: Path,
    url: str,
    arguments: Sequence[str],
    *,
    schema: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run ``psql`` on a database until its user leaves it.

    Args:
        psql: the program.
        url: the database; goes into the environment, where other users cannot read it.
        arguments: handed on as they are.
        schema: the one to be in; None leaves the ``search_path`` as it is.
        environment: what else ``psql`` sees; the vendor's credentials are taken out of it.

    Returns:
        Its exit code.

    Raises:
        ConfigurationError: the URL is none, or the program cannot be executed.
    """
    seen = {"PGTZ": "UTC"}  # so that a time without a zone is UTC, as everywhere else
    seen |= {name: value for name, value in environment.items() if not _OUR_SECRETS.match(name)}
    # Ctrl-C cancels a query in psql. It must not end this process, which holds the server.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.run(
            [psql, *arguments], env=seen | libpq_environment(url, schema), check=False
        ).returncode
    except OSError as error:
        raise ConfigurationError(f"{psql} cannot be executed: {error.strerror}.") from error
    finally:
        signal.signal(signal.SIGINT, before)
