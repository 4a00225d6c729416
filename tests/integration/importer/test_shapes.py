"""An envelope that is all of one thing is committed, or is in quarantine and says why."""

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.profiles import PROFILE
from support.shapes import REFUSED, THINGS, envelope_of

from positionstore.importer.files import import_files
from positionstore.model.facts import LONGEST_ENVELOPE
from positionstore.store.database import Store

QUICK = ["one string", "one key", "blanks", "no end of strings", "no UTF-8"]
SHAPES = [*THINGS, *REFUSED]
REASONS = {
    "too deep": "too_deep",
    "too deep in objects": "too_deep",
    "no end of a string": "not_json",
    "no end of strings": "not_json",
    "zero bytes": "not_json",
    "no UTF-8": "not_utf8",
}


@pytest.mark.parametrize(
    ("length", "shapes"),
    [
        pytest.param(256 * 1024, SHAPES, id="long"),
        # The bound; all of them take the database a minute and more.
        pytest.param(
            LONGEST_ENVELOPE,
            SHAPES if PROFILE == "thorough" else QUICK,
            id="longest",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_shape_is_committed_or_kept_with_its_reason(
    store_url: str, tmp_path: Path, length: int, shapes: list[str]
) -> None:
    path = tmp_path / "events.jsonl"
    lines = [envelope_of(shape, length, number=n) for n, shape in enumerate(shapes)]
    path.write_bytes(b"\n".join(lines))
    store = Store(store_url, embedded=False)

    done = import_files([str(path)], store.connect, now=datetime.now(UTC), batch_size=10)

    well = [n for n, shape in enumerate(shapes) if shape in THINGS]
    assert (done.read, done.appended, done.positions) == (len(shapes), len(well), len(well))
    with psycopg.connect(store_url) as connection:
        assert connection.execute(
            "SELECT event_id, octet_length(envelope::text) FROM events ORDER BY seq"
        ).fetchall() == [(f"evt_{n}", length) for n in well]
        assert connection.execute(
            "SELECT position_id FROM positions WHERE data ? 'x' ORDER BY length(position_id), 1"
        ).fetchall() == [(f"dm_pos_{n}",) for n in well]
        assert connection.execute(
            "SELECT reason, octet_length(raw) FROM quarantine ORDER BY quarantine_id"
        ).fetchall() == [(REASONS[shape], length) for shape in shapes if shape in REFUSED]
