"""Explains an unusable ``DATABASE_URL`` without quoting it: any part may be of the password.

The URL is split as libpq, PostgreSQL's own library, splits it, which differs from the rules of the
web: the user and the password end at the first ``@`` before any ``/``, and may hold ``?``,
``#`` and brackets as they are.

Sources: the manuals of libpq ("Connection Strings"), Prisma, SQLAlchemy, psycopg, asyncpg, pgx,
node-postgres, pgJDBC and Npgsql.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What libpq takes for ``sslmode``."""

FORM: Final = "postgresql://USER@HOST/DATABASE"

_SCHEMA: Final = "set POSITIONSTORE_SCHEMA to the schema's name"
_POOLER: Final = "whether a pooler keeps a session is seen without it"
_POOL: Final = "there is no pool of connections to size"
_PREPARED: Final = "prepared statements need no setting"
_TIMES: Final = "timeouts are set by positionstore; for connecting there is connect_timeout="
_TLS: Final = "write sslmode=require, or sslmode=verify-full and sslrootcert="
_NOTES: Final = "it is a note of the program that made the URL"
_DRIVERS: Final = "it is another driver's"

_FOREIGN: Final = {
    **dict.fromkeys(("schema", "currentschema", "search_path", "searchpath"), _SCHEMA),
    "pgbouncer": _POOLER,
    **dict.fromkeys(
        (
            "pool_size",
            "max_overflow",
            "pool_timeout",
            "pool_recycle",
            "pool_pre_ping",
            "connection_limit",
            "max_idle_connection_lifetime",
            "pool",
            "pool_max_conns",
            "pool_min_conns",
            "pool_max_conn_lifetime",
            "pool_max_conn_idle_time",
            "conn_max_age",
            "min_size",
            "max_size",
        ),
        _POOL,
    ),
    **dict.fromkeys(
        (
            "prepare_threshold",
            "preparethreshold",
            "prepared_statements",
            "prepared_statement_cache_size",
            "prepared_statement_name_func",
            "preparedstatementcachequeries",
            "statement_cache_size",
            "statement_cache_capacity",
            "description_cache_capacity",
            "default_query_exec_mode",
            "prefer_simple_protocol",
            "preferquerymode",
            "binary_parameters",
        ),
        _PREPARED,
    ),
    **dict.fromkeys(("ssl", "sslaccept", "sslidentity", "sslfactory", "uselibpqcompat"), _TLS),
    **dict.fromkeys(
        (
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "query_timeout",
            "command_timeout",
            "socket_timeout",
            "sockettimeout",
            "logintimeout",
            "connecttimeout",
            "timeout",
        ),
        _TIMES,
    ),
    **dict.fromkeys(("supa", "workaround"), _NOTES),
    **dict.fromkeys(
        ("applicationname", "targetservertype", "rewritebatchedinserts", "stringtype", "driver"),
        _DRIVERS,
    ),
}
"""Parameters of other programs, in small letters, and what they are for."""

_WRITTEN_FOR_NET: Final = re.compile(r"^\s*(host|server|data source)\s*=[^;]*;", re.IGNORECASE)
_KEYWORD: Final = re.compile(r"(?:^|\s)([A-Za-z_]+)\s*=")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


@dataclass(frozen=True, slots=True)
class Parts:
    """A URL, split as libpq splits it; each part as written.

    Attributes:
        user: None if there is none.
        password: None if there is none.
        place: hosts and ports.
        path: the part up to the ``?``, with its ``/``.
        query: the part after the ``?``.
    """

    user: str | None
    password: str | None
    place: str
    path: str
    query: str


def split(url: str) -> Parts | None:
    """Split a URL into its parts; None if it is keywords and values."""
    _, separator, rest = url.partition("://")
    if not separator:
        return None
    user: str | None = None
    password: str | None = None
    if found := re.match(r"[^@/]*@", rest):
        user, colon, given = found[0][:-1].partition(":")
        password = given if colon else None
        rest = rest[found.end() :]
    before, _, query = rest.partition("?")
    place, slash, path = before.partition("/")
    return Parts(user, password, place, slash + path, query)


def passwords(url: str) -> list[str]:
    """Return the password of a URL, as written and decoded."""
    parts = split(url)
    password = parts.password if parts else None
    return [password, unquote(password)] if password else []


def not_for_postgres(url: str) -> str | None:
    """Return why this is not a URL of PostgreSQL; None if it is."""
    scheme, separator, _ = url.partition("://")
    if url[:1] in {'"', "'"}:
        return "it stands in quotation marks; write it without them"
    if url.startswith(("psql ", "export ", "DATABASE_URL=")):
        return f"it is a command line; leave all of it out but for {FORM}"
    if url.startswith("jdbc:"):
        return "it is written for Java; leave out jdbc: in front, and what is for Java alone"
    if not separator:
        return None if "=" in url else f"it is not of the form {FORM}"
    # SQLAlchemy's spelling names a driver, which is of no concern here.
    if scheme.split("+")[0] not in {"postgresql", "postgres"}:
        # Not quoted: it may be a part of a password that holds ://.
        return "it begins neither with postgresql:// nor with postgres://"
    return None


def ambiguous(url: str) -> tuple[str, str] | None:
    """Return why libpq would take a part of a password for a host, a port or a database.

    Returns:
        Cause and remedy; None if it would not.
    """
    parts = split(url)
    if parts is None:
        return None
    if "@" in parts.place:
        return (
            "DATABASE_URL has more than one @ in front of its host.",
            "Write an @ of the user or the password as %40.",
        )
    if "@" in parts.path and parts.place:
        return (
            "DATABASE_URL has an @ behind a /, so that no password can be told from a host.",
            "Write a / of the user or the password as %2F, and an @ of the database's name as %40.",
        )
    if not _brackets_match(parts.place):
        return (
            "DATABASE_URL has a [ or ] in its host that belongs to no address.",
            "Write an IPv6 address as [::1], and an @ of the password, if it holds one, as %40.",
        )
    if any(not _is_port(port) for port in _ports(parts.place)):
        return (
            "DATABASE_URL has a port that is no number from 1 to 65535.",
            "Write a / of the user or the password as %2F, an @ as %40.",
        )
    return None


def unreadable(url: str) -> tuple[str, str]:
    """Return why libpq cannot parse a URL, or a string of keywords and values.

    Returns:
        Cause and remedy.
    """
    if (said := not_for_postgres(url)) is not None:
        return f"DATABASE_URL cannot be read: {said}.", ""
    if (found := ambiguous(url)) is not None:
        return found
    parts = split(url)
    return _keywords(url) if parts is None else _written(parts)


def _written(parts: Parts) -> tuple[str, str]:
    if "@" in parts.query:
        return (
            "DATABASE_URL has an @ behind its ?, so that no password can be told from a host.",
            (
                "Write a / of the user or the password as %2F, a ? as %3F, "
                "and an @ of a parameter as %40."
            ),
        )
    written = (parts.user or "", parts.password or "", parts.place, parts.path)
    if any(_BAD_PERCENT.search(text) for text in written):
        return (
            "DATABASE_URL has a % that begins no percent-encoded character.",
            "Write a % of the user, the password or the database as %25.",
        )
    if any(re.search(r"\s", text) for text in written):
        return "DATABASE_URL holds a blank.", "Write it as %20, or leave it out."
    return _parameters(parts.query)


def _parameters(query: str) -> tuple[str, str]:
    given = [parameter.partition("=") for parameter in query.split("&")] if query else []
    for number, (name, _, value) in enumerate(given, start=1):
        holds = [word for word, found in (("blank", r"\s"), ("=", "=")) if re.search(found, value)]
        if holds and name == "options":
            return (
                f"DATABASE_URL holds a raw {' and a raw '.join(holds)} in its options=.",
                (
                    "Write a blank as %20 and = as %3D there, as in "
                    "options=-csearch_path%3Dbook; for a schema, set POSITIONSTORE_SCHEMA instead."
                ),
            )
        if holds:
            return (
                (
                    f"DATABASE_URL holds a raw {' and a raw '.join(holds)} in the value of "
                    f"parameter {number} behind its ?."
                ),
                "Write a blank as %20 and = as %3D there.",
            )
        if _BAD_PERCENT.search(value):
            return (
                (
                    f"DATABASE_URL has a % in parameter {number} behind its ? that begins no "
                    "percent-encoded character."
                ),
                "Write it as %25.",
            )
    if foreign := _of_other_programs([name for name, _, _ in given]):
        return foreign
    return (
        "DATABASE_URL has a parameter behind its ? that PostgreSQL's own library does not know.",
        "Leave it out; write an & in a parameter's value as %26.",
    )


def _keywords(text: str) -> tuple[str, str]:
    if _WRITTEN_FOR_NET.match(text):
        return (
            "DATABASE_URL is written for .NET.",
            f"Write it as {FORM}, with the password behind the user and a colon.",
        )
    return _of_other_programs(_KEYWORD.findall(text)) or (
        "DATABASE_URL cannot be read as keywords and values.",
        (
            "Put a value with a blank into single quotes, and a \\ in front of each ' and \\ "
            f"in it; or write {FORM}."
        ),
    )


def _of_other_programs(names: list[str]) -> tuple[str, str] | None:
    """Return the parameters of other programs; no other names are shown."""
    foreign = dict.fromkeys(name for name in names if name.lower() in _FOREIGN)
    if not foreign:
        return None
    reasons: dict[str, list[str]] = {}
    for name in foreign:
        reasons.setdefault(_FOREIGN[name.lower()], []).append(name)
    return (
        f"DATABASE_URL holds {_listed(foreign)}, which PostgreSQL's own library does not know.",
        f"Leave out {'; '.join(f'{_listed(of)} ({why})' for why, of in reasons.items())}.",
    )


def _listed(names: Iterable[str]) -> str:
    *most, last = [f"{name}=" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _brackets_match(place: str) -> bool:
    return all(re.fullmatch(r"(\[[^][]*\])?[^][]*", part) for part in place.split(","))


def _ports(place: str) -> list[str]:
    behind = [re.sub(r"^\[[^]]*\]", "", part).partition(":") for part in place.split(",")]
    return [unquote(port) for _, _, port in behind if port]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65_536
