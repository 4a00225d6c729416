"""``psql``, let into a database without its password in any argument."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from positionstore import postgres_url
from positionstore.errors import ConfigurationError

_OUR_SECRETS = re.compile("DIMES_.*|DATABASE_URL.*")


def libpq_environment(url: str) -> dict[str, str]:
    """Return a database URL as the ``PG...`` variables that every libpq program reads.

    The few connection options that have no variable (``keepalives`` and its like) are left out.

    Args:
        url: as in ``DATABASE_URL``; a SQLAlchemy driver in its scheme is passed over.

    Raises:
        ConfigurationError: it is no database URL. It is not shown: it may hold a password.
    """
    try:
        given = conninfo_to_dict(re.sub(r"^(postgres(?:ql)?)\+\w+:", r"\1:", url))
    except psycopg.ProgrammingError:
        cause, remedy = postgres_url.unreadable(url)
        raise ConfigurationError(cause, remedy=remedy) from None
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


def run_psql(
    psql: Path, url: str, arguments: Sequence[str], *, environment: Mapping[str, str] = os.environ
) -> int:
    """Run ``psql`` on a database until its user leaves it.

    Args:
        psql: the program.
        url: the database; goes into the environment, where other users cannot read it.
        arguments: handed on as they are.
        environment: what else ``psql`` sees; the vendor's credentials are taken out of it.

    Returns:
        Its exit code.

    Raises:
        ConfigurationError: the URL is none, or the program cannot be executed.
    """
    seen = {name: value for name, value in environment.items() if not _OUR_SECRETS.match(name)}
    # Ctrl-C cancels a query in psql. It must not end this process, which holds the server.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.run(
            [psql, *arguments], env=seen | libpq_environment(url), check=False
        ).returncode
    except OSError as error:
        raise ConfigurationError(f"{psql} cannot be executed: {error.strerror}.") from error
    finally:
        signal.signal(signal.SIGINT, before)
