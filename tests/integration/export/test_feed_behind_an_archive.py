"""A feed that has not read facts before they went into an archive does not lose them silently."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
from pyiceberg.catalog import load_catalog
from support.exporting import Exporter
from support.factories import event
from support.old_positions import LATER, archived, facts, files, fill

import positionstore
from positionstore.errors import StoreRefusedError
from positionstore.export.formats import Format
from positionstore.export.request import Exported
from positionstore.importer.archives import bring_back
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.read import query

pytestmark = pytest.mark.superuser


@dataclass(frozen=True)
class Feed:
    """A folder, or a table of Iceberg."""

    export: Exporter
    folder: Path
    form: Format

    def __call__(self) -> Exported:
        return self.export(self.folder, "events", form=self.form, resume=True)

    def read(self) -> list[tuple[int, str]]:
        """What a reader sees of positions' facts."""
        paths = [str(path) for path in self.folder.rglob("*.parquet")]
        if self.form is Format.ICEBERG:
            catalogue = load_catalog(
                "positionstore", type="sql", uri=f"sqlite:///{self.folder / 'catalog.db'}"
            )
            found = catalogue.load_table("positionstore.events").inspect.files()
            paths = [path.removeprefix("file://") for path in found["file_path"].to_pylist()]
        with duckdb.connect() as connection:
            return connection.execute(
                "SELECT seq, event_id FROM read_parquet($paths) WHERE position_id <> ''"
                " ORDER BY seq",
                {"paths": paths},
            ).fetchall()


@pytest.fixture(params=[Format.PARQUET, Format.ICEBERG])
def feed(request: pytest.FixtureRequest, export: Exporter, tmp_path: Path) -> Feed:
    return Feed(export, tmp_path / "feed", request.param)


def test_it_is_refused_and_goes_on_after_the_facts_are_back(
    store: Store, appender: Appender, feed: Feed, export: Exporter, tmp_path: Path
) -> None:
    appender.append([event("evt_first", position="dm_pos_live", at=4)])
    feed()
    fill(appender)
    with store.connect() as connection:
        whole = [(row[0], row[1]) for row in facts(connection)]
    archived(store.url, tmp_path / "archives")
    (file,) = files(tmp_path / "archives")

    name = Path(file).name
    for _ in range(2):
        with pytest.raises(StoreRefusedError, match="after seq 1 are in the archive") as refused:
            feed()
        assert f"{name}, and no longer in the log" in str(refused.value)
        assert "positionstore import FILE" in str(refused.value)
    assert feed.read() == whole[:1]
    with pytest.raises(StoreRefusedError, match=name):
        export(tmp_path / "more.parquet", "events", since=1)
    assert not (tmp_path / "more.parquet").exists()
    with (
        positionstore.connect(store.url) as book,
        pytest.raises(StoreRefusedError, match=name),
    ):
        book.batches("events", since=1)
    # Who begins is told that the files are a part of the log.
    begun = export(tmp_path / "all.parquet", "events")
    assert begun.archives == 1

    bring_back(store, [file], now=LATER)
    assert feed().archives == 0
    assert feed.read() == whole
    archived(store.url, tmp_path / "again", now=LATER + timedelta(days=1))
    appender.append([event("evt_last", position="dm_pos_live", at=70)])
    feed()
    assert [event_id for _, event_id in feed.read()][-1] == "evt_last"


def test_facts_that_are_archived_while_it_reads_are_no_part_of_it(
    store: Store, appender: Appender, feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appender.append([event("evt_first", position="dm_pos_live", at=4)])
    feed()
    fill(appender)
    of_log = query.of_log

    def then_archived(connection: psycopg.Connection, *, after: int, until: int) -> query.ReadQuery:
        chosen = of_log(connection, after=after, until=until)
        archived(store.url, tmp_path / "archives")
        return chosen

    monkeypatch.setattr(query, "of_log", then_archived)
    with pytest.raises(StoreRefusedError, match="are in the archive"):
        feed()
    assert [event_id for _, event_id in feed.read()] == ["evt_first"]


def test_a_feed_that_has_read_them_goes_on(
    store: Store, appender: Appender, feed: Feed, tmp_path: Path
) -> None:
    fill(appender)
    feed()
    archived(store.url, tmp_path / "archives")
    assert feed().rows == 1  # the fact that tells of the archive
