"""The database in use: the one that ``DATABASE_URL`` names, or the embedded server's."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

import psycopg
from psycopg.conninfo import conninfo_to_dict

from positionstore import postgres_url
from positionstore.embedded import server as embedded
from positionstore.errors import ConfigurationError, DatabaseUnavailableError
from positionstore.settings import Settings
from positionstore.store import (
    db_errors,
    embedded_roles,
    known,
    migrations,
    neighbours,
    session,
)
from positionstore.store.grants import Role

_FULL: Final = re.compile(r"too many (?:clients|connections)|connection slots|no more connections")
"""How a server or a pooler says in English that it is full; libpq hands no SQLSTATE on here."""

_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A link that has died without a word is noticed in half a minute (the last in milliseconds)."""

OLDEST_SERVER = 15
"""The oldest major version of PostgreSQL that the schema works on."""


@dataclass(frozen=True)
class Store:
    """A database that holds the store.

    Attributes:
        url: where it is; it may hold a password, so it is never printed. Empty where the embedded
            server did not start: then it is tried again at each ``connect``.
        embedded: whether it is the embedded server's.
        revive: starts the server again where it was killed and returns the URL; None where it
            was stopped on purpose. To be had only of the embedded server's.
        schema: the schema that it is in; None for the first of the ``search_path``.
        reader: returns the reader's URL, where there is one. The embedded server's again.
    """

    url: str = field(repr=False)
    embedded: bool
    revive: Callable[[], str | None] | None = field(default=None, repr=False, compare=False)
    schema: str | None = None
    reader: Callable[[], str | None] | None = field(default=None, repr=False, compare=False)

    def connect(
        self,
        *,
        application_name: str = "positionstore",
        reads: bool = False,
        made_by: type[psycopg.Connection] = psycopg.Connection,
    ) -> psycopg.Connection:
        """Open a connection in autocommit mode; an embedded server that was killed is revived.

        Args:
            application_name: what the server calls it.
            reads: whether it is for reading what the role may see; see :mod:`.session`.
            made_by: the class of the connection.

        Raises:
            DatabaseUnavailableError: the server cannot be reached, or is too old.
        """
        how: _How = {
            "application_name": application_name,
            "reads": reads,
            "schema": self.schema,
            "made_by": made_by,
        }
        unavailable = DatabaseUnavailableError("The embedded server has not started yet.")
        if self.url:
            try:
                return connect(self.url, **how)
            except DatabaseUnavailableError as error:
                unavailable = error
        url = None if self.revive is None else self.revive()
        if url is None:
            raise unavailable
        return connect(url, **how)

    def connect_to_look(self, *, application_name: str) -> psycopg.Connection:
        """Open a connection that can write nothing: the reader's, where its URL is known.

        A server that is away is not revived for it.

        Args:
            application_name: what the server calls it.

        Raises:
            DatabaseUnavailableError: the server cannot be reached, or is too old.
        """
        url = (self.reader() if self.reader is not None else None) or self.url
        if not url:
            raise DatabaseUnavailableError("The embedded server has not started yet.")
        connection = connect(url, application_name=application_name, schema=self.schema)
        try:
            connection.execute("SET default_transaction_read_only = on")
        except BaseException:
            connection.close()
            raise
        return connection


class _How(TypedDict):
    application_name: str
    reads: bool
    schema: str | None
    made_by: type[psycopg.Connection]


def connect(
    url: str,
    *,
    application_name: str = "positionstore",
    reads: bool = False,
    schema: str | None = None,
    made_by: type[psycopg.Connection] = psycopg.Connection,
) -> psycopg.Connection:
    """Open a connection in autocommit mode, set up for the store's statements.

    Args:
        url: where to.
        application_name: what the server calls it.
        reads: whether it is for reading what the role may see; see :mod:`.session`.
        schema: the one that the store is in; None leaves the ``search_path`` as it is.
        made_by: the class of the connection.

    Raises:
        ConfigurationError: the URL cannot be read, or the database is not in UTF-8.
        DatabaseUnavailableError: the server cannot be reached, or is too old.
        StoreRefusedError: there is a pooler in front of it that does not keep a session.
    """
    asked = _parameters(url)
    patience: dict[str, Any] = {
        name: asked.get(name) or seconds for name, seconds in _PATIENCE.items()
    }

    def link() -> psycopg.Connection:
        return made_by.connect(
            url,
            autocommit=True,
            application_name=application_name,
            **patience,
            client_encoding="utf8",  # which staged rows are in, whatever the environment says
        )

    try:
        connection = link()
    except (psycopg.Error, UnicodeError) as error:
        said = _first_line(error)
        hint = "Check DATABASE_URL and that the server runs."
        if _FULL.search(said):
            hint = db_errors.REMEDIES["53300"]
        if "password authentication failed" in said and "%" in "".join(postgres_url.passwords(url)):
            hint += " A % of the password itself is written %25 there."
        raise DatabaseUnavailableError(
            f"The database cannot be reached: {said}.", remedy=hint
        ) from None
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        found = connection.info.parameter_status("server_version")
        connection.close()
        raise DatabaseUnavailableError(
            f"The database runs PostgreSQL {found}; {OLDEST_SERVER} or newer is needed."
        )
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        connection.close()
        raise ConfigurationError(
            f"The database's encoding is {encoding}, which does not hold every text.",
            remedy="Make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
        )
    try:
        session.prepare(connection, another=link, reads=reads, schema=schema)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def opened(
    settings: Settings,
    *,
    check: bool = True,
    may_be_away: bool = False,
    as_owner: bool = False,
    say: Callable[[str], None] = embedded.to_stderr,
) -> Iterator[Store]:
    """Find the database in use, and keep it running meanwhile if it is the embedded server's.

    The embedded server's schema is brought to head; that of another database is only checked. On
    the embedded server one works as the writer, elsewhere as the role that ``DATABASE_URL`` names.

    Args:
        settings: names the database, or the data directory of the embedded server.
        check: whether the schema has to be this version's. Where it need not be, one is the
            embedded server's superuser.
        may_be_away: whether a database that the data directory remembers may be away just now, or
            its embedded server unable to start; it is not checked then, or not until it starts.
        as_owner: whether one is the owner of the tables on the embedded server, for what the
            writer may not do.
        say: takes a line for the person who waits.

    Raises:
        DatabaseUnavailableError: it cannot be reached or started.
        SchemaMismatchError: its schema is behind or ahead; the message names the remedy.
    """
    if settings.database_url is not None:
        store = Store(
            settings.database_url.get_secret_value(), embedded=False, schema=settings.schema_name
        )
        try:
            with store.connect() as connection:
                if check:
                    migrations.check(connection)
        except DatabaseUnavailableError:
            if not may_be_away or known.environment_of(settings.store_dir, store.url) is None:
                raise
        yield store
        return
    role = Role.OWNER if as_owner else Role.WRITER
    with closing(_Own(settings, check=check, role=role, say=say)) as own:
        try:
            url = own.start()
        except DatabaseUnavailableError:
            if not may_be_away or known.environment_of(settings.store_dir, None) is None:
                raise
            url = ""
        yield Store(
            url,
            embedded=True,
            revive=own.revive,
            schema=settings.schema_name,
            reader=own.reader,
        )


class _Own:
    """The embedded server, as one of its users; it may come up later than it was asked for."""

    def __init__(
        self, settings: Settings, *, check: bool, role: Role, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._check = check
        self._role = role
        self._say = say
        self._server: embedded.EmbeddedServer | None = None
        self._ready = False
        self._url_of: Callable[[embedded.EmbeddedServer], str] = embedded.EmbeddedServer.url
        self._starting = threading.Lock()

    def start(self) -> str:
        """Start it, with the schema and the roles that it should have; return the URL."""
        if self._server is None:
            self._server = embedded.ensure_running(
                self._settings.data_dir, say=self._say, bin_dir=self._settings.pg_bin
            )
        schema = self._settings.schema_name
        store = Store(self._server.url(), embedded=True, revive=self._alive, schema=schema)
        if self._check:
            with store.connect() as connection:
                if _is_behind(connection, schema):
                    migrations.migrate(store.url, schema=schema, say=self._say)
                embedded_roles.ensure(connection, self._server)
            self._url_of = self._as_the_role
        self._ready = True
        return self._url_of(self._server)

    def revive(self) -> str | None:
        """Start it again, or at last; return the URL, or None where it was stopped on purpose."""
        with self._starting:
            return self._alive() if self._ready else self.start()

    def reader(self) -> str | None:
        """Return the reader's URL; None where the roles are not there yet."""
        if self._server is None or not (self._ready and self._check):
            return None
        return embedded_roles.url_as(self._server, Role.READER)

    def close(self) -> None:
        """Use it no more; the last user stops it."""
        if self._server is not None:
            embedded.release(self._server, say=self._say)

    def _alive(self) -> str | None:
        if self._server is None:
            return None
        alive = embedded.ensure_alive(self._server, say=self._say, bin_dir=self._settings.pg_bin)
        return None if alive is None else self._url_of(alive)

    def _as_the_role(self, server: embedded.EmbeddedServer) -> str:
        return embedded_roles.url_as(server, self._role)


def _is_behind(connection: psycopg.Connection, schema: str | None) -> bool:
    if schema is not None and not neighbours.exists(connection, schema):
        return True
    return migrations.current(connection) != migrations.head()


def _parameters(url: str) -> dict[str, str | int | None]:
    """Return what a URL says; libpq's own words are never shown, as they quote it.

    Raises:
        ConfigurationError: it cannot be read, or not be told from one with a part of the password
            in the place of a host.
    """
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        cause, remedy = postgres_url.unreadable(url)
        raise ConfigurationError(cause, remedy=remedy) from None
    if (found := postgres_url.ambiguous(url)) is not None:
        raise ConfigurationError(found[0], remedy=found[1])
    if parameters.get("sslmode") not in {None, *postgres_url.SSL_MODES}:
        raise ConfigurationError(
            "DATABASE_URL has an sslmode that PostgreSQL's own library does not know.",
            remedy=f"It takes {', '.join(postgres_url.SSL_MODES)}; what other programs call "
            "no-verify is require.",
        )
    return parameters


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
