"""Where it is measured: an embedded server of its own, as a user gets it, and fresh stores."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from benchmark.builds import THIS, Build
from positionstore.embedded import server as embedded
from positionstore.embedded.server import EmbeddedServer
from positionstore.store import migrations
from positionstore.store.database import Store

_TEMPLATE = "template_store"


@dataclass(frozen=True)
class Bed:
    """A server, and a folder that is deleted in the end.

    Attributes:
        folder: for files.
        server: with PostgreSQL's settings as a user gets them, ``fsync`` among them.
    """

    folder: Path
    server: EmbeddedServer
    _numbers: Iterator[int]

    @classmethod
    @contextmanager
    def made(cls) -> Iterator["Bed"]:
        """Start a server; stop it and delete everything afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=f"positionstore-bench-{os.getpid()}-"))
        try:
            with embedded.running(folder / "data") as server:
                bed = cls(folder, server, count(1))
                bed.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
                migrations.migrate(server.url(_TEMPLATE))
                yield bed
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def fresh_store(self, build: Build = THIS) -> Iterator[Store]:
        """Make an empty store with the schema of a build; drop it afterwards."""
        with self.fresh_database(_TEMPLATE if build is THIS else "template0") as url:
            if build is not THIS:
                build.migrate(url)
            yield Store(url, embedded=True)

    @contextmanager
    def fresh_database(self, template: str = "template0") -> Iterator[str]:
        """Make a database, empty or like another; yield its URL; drop it afterwards."""
        name = sql.Identifier(database := f"store_{next(self._numbers)}")
        like = sql.Identifier(template)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, like))
        try:
            yield self.server.url(database)
        finally:
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def settle(self) -> None:
        """Write out what the last measurement left in memory, so that the next need not."""
        self.execute(sql.SQL("CHECKPOINT"))

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        """Run a statement that concerns no single database."""
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)
