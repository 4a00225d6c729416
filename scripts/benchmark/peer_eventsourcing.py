"""Appends the events of a file as eventsourcing does; run by the Python that has it.

Arguments: a file of envelopes, events a batch, ``on`` for its functions in the database, else
``off``. The URL of an empty database is read from standard input. Prints how many events there were
and the seconds that appending took; the events are at hand as Python's values before that.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eventsourcing.persistence import StoredEvent  # type: ignore[import-not-found] # not ours
from eventsourcing.postgres import (  # type: ignore[import-not-found] # the same
    PostgresApplicationRecorder,
    PostgresDatastore,
)


def main() -> None:
    """Append them."""
    path, batch, functions = sys.argv[1:]
    events = _events(path)
    url = urlsplit(sys.stdin.read().strip())
    with PostgresDatastore(
        dbname=url.path.removeprefix("/"),
        host=url.hostname,
        port=url.port,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        originator_id_type="text",
        enable_db_functions=functions == "on",
    ) as datastore:
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        began = time.perf_counter()
        for first in range(0, len(events), int(batch)):
            recorder.insert_events(events[first : first + int(batch)])
        seconds = time.perf_counter() - began
    print(json.dumps({"events": len(events), "seconds": seconds}))


def _events(path: str) -> list[StoredEvent]:
    """Return each event once, numbered within its position."""
    known: set[str] = set()
    versions: Counter[str] = Counter()
    events: list[StoredEvent] = []
    with Path(path).open("rb") as file:
        for line in file:
            envelope = json.loads(line)
            if envelope["id"] in known:
                continue
            known.add(envelope["id"])
            position = envelope["data"].get("id", "")  # a notification has none
            versions[position] += 1
            state = line.rstrip(b"\n")
            events.append(StoredEvent(position, versions[position], envelope["type"], state))
    return events


if __name__ == "__main__":
    main()
