"""Looks for secrets wherever a run may leave them.

watch = SecretsWatch({"key": sandbox.api_key, "password": password})
with watch.over(lambda: url):         # process listings and the server's sessions, meanwhile
    done = await programs.run(...)
    watch.text("reconcile", done.out + done.err)
watch.database(url)                   # every row of every table
watch.files(folder, but=[...])        # logs, reports, the spool
watch.nothing_was_found()
"""

import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

import psutil
import psycopg
from psycopg import sql

EVERY = 0.25
"""Seconds between two looks at what runs."""

TOKENS = base64.b64encode(b'{"alg":"HS256"').rstrip(b"=").decode()[:-1]
"""How every token begins that the sandbox issues."""

_PATIENCE = 5
"""Seconds for which a server that is unwell may keep a look waiting."""

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema$)'
"""
_SESSIONS = "SELECT concat_ws(' ', usename, application_name, query) FROM pg_stat_activity"


class SecretsWatch:
    """Collects where a secret was seen; never the secret itself.

    Args:
        secrets: what must not be seen, by what it is. Tokens of the sandbox are looked for anyway.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms = {
            form: name
            for name, secret in {**secrets, "a token of the sandbox": TOKENS}.items()
            for form in _forms(secret)
        }
        self.found: set[str] = set()
        self.looked: dict[str, int] = {}

    def text(self, where: str, text: str | bytes) -> None:
        """Look at what was printed, logged or answered."""
        read = text.decode(errors="replace") if isinstance(text, bytes) else text
        self.looked[where] = self.looked.get(where, 0) + len(read)
        self.found |= {f"{name} in {where}" for form, name in self._forms.items() if form in read}

    def database(self, url: str) -> None:
        """Look at every row of every table, views of which are made from them."""
        with psycopg.connect(url) as connection:
            for schema, table in connection.execute(_TABLES).fetchall():
                with connection.cursor(name="rows") as cursor:
                    query = sql.SQL("SELECT t::text FROM {} t")
                    for (row,) in cursor.execute(query.format(sql.Identifier(schema, table))):
                        self.text(f"table {table}", row)

    def files(self, folder: Path, *, but: Iterable[Path] = ()) -> None:
        """Look at every file in a folder, but for those that are meant to hold a secret."""
        meant = {path.resolve() for path in but}
        for path in folder.rglob("*"):
            if path.is_file() and not meant & {path.resolve(), *path.resolve().parents}:
                self.text(f"file {path.relative_to(folder)}", path.read_bytes())

    def processes(self) -> None:
        """Look at what ``ps`` shows of this process, and of all that it started.

        Other workers run other tests, on the same server.
        """
        ours = psutil.Process()
        for process in (ours, *ours.children(recursive=True)):
            with suppress(psutil.Error):
                self.text("the process listing", f"{process.name()} {process.cmdline()}")

    @contextmanager
    def over(self, url: Callable[[], str]) -> Iterator[None]:
        """Look at processes and at the server's sessions every so often, until the block ends.

        Args:
            url: tells the database, as a superuser, who sees the sessions of all.
        """
        ended = threading.Event()

        def look() -> None:
            while True:
                self.processes()
                # The server may be away just now.
                with (
                    suppress(psycopg.Error),
                    psycopg.connect(url(), connect_timeout=_PATIENCE) as connection,
                ):
                    for (session,) in connection.execute(_SESSIONS):
                        self.text("the server's sessions", session)
                if ended.wait(EVERY):
                    return

        thread = threading.Thread(target=look, name="secrets-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def nothing_was_found(self) -> None:
        """Fail where a secret was seen, or where there was nothing to look at."""
        assert self.found == set(), self.found
        empty = [where for where, length in self.looked.items() if not length]
        assert empty == [], empty


def _forms(secret: str) -> set[str]:
    """The spellings in which a secret may turn up: in a URL, in JSON, in a ``bytea``."""
    encoded = secret.encode()
    spelt = {
        secret,
        quote(secret, safe=""),
        unquote(secret),
        json.dumps(secret)[1:-1],
        encoded.hex(),
        base64.b64encode(encoded).rstrip(b"=").decode(),
    }
    assert min(map(len, spelt)) >= 8, "too short to be looked for"
    return spelt
