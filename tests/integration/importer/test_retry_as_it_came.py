"""A retry of quarantine reads each input as it is read today where it came from."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from support.factories import envelope, event, snapshot

from positionstore.dimes.gateway import NAMESPACES
from positionstore.importer.retry_quarantine import Retried, retry_quarantine
from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.store.appender import Appender
from positionstore.store.database import Store

NOW = datetime.now(UTC)
PARTNER, CUSTOMER = (
    f"42{NAMESPACES[gateway]}".encode() for gateway in (Source.PARTNER, Source.CUSTOMER)
)
ROW = (
    b'{"seq":7,"type":"position.opened","received_at":"2026-07-01T12:00:00+00:00",'
    b'"source":"customer","supersedes_before":null,"envelope":%s,"retracts":null}'
)


def quarantined(url: str, raw: bytes, source: Source) -> None:
    rejected = Rejected(raw, Reason.WRONG_ARGUMENTS, "no")
    with psycopg.connect(url) as connection:
        Appender(connection).append([Received(rejected, NOW, source)])


def retried(url: str) -> Retried:
    return retry_quarantine(Store(url, embedded=False).connect)


@pytest.mark.parametrize(
    ("raw", "source", "gets"),
    [
        (PARTNER + b',["position.opened",%s,"Bq1F"]', Source.PARTNER, "partner"),
        (CUSTOMER + b',["position.opened",%s,"Bq1F"]', Source.CUSTOMER, "customer"),
        (b"%s", Source.PARTNER, "partner"),
        (b'["position.opened",%s]', Source.IMPORT, "import"),
        (ROW, Source.IMPORT, "customer"),
    ],
)
def test_what_is_understood_today_comes_in(
    store_url: str, raw: bytes, source: Source, gets: str
) -> None:
    quarantined(store_url, raw % envelope("evt_1"), source)

    assert retried(store_url) == Retried(tried=1, released=1)
    with psycopg.connect(store_url) as desk:
        assert desk.execute("SELECT event_id, source FROM events").fetchall() == [("evt_1", gets)]
        assert desk.execute("SELECT count(*) FROM positions").fetchone() == (1,)


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (CUSTOMER + b',["position.opened",%s]', Source.PARTNER),  # not the namespace it joined
        (b'["position.opened",%s]', Source.PARTNER),  # no packet
        (PARTNER + b',["position.opened",%s,{}]', Source.PARTNER),
    ],
)
def test_what_a_connection_would_not_take_stays(store_url: str, raw: bytes, source: Source) -> None:
    quarantined(store_url, raw % envelope("evt_1"), source)

    assert retried(store_url) == Retried(tried=1, released=0)


def test_an_item_of_rest_goes_when_a_later_answer_has_told_of_its_position(store_url: str) -> None:
    quarantined(store_url, b'{"id":"dm_pos_1","status":"open"}', Source.REST)
    with psycopg.connect(store_url) as writer:
        Appender(writer).append([event("evt_1")])

    assert retried(store_url) == Retried(tried=1, released=0)

    with psycopg.connect(store_url) as writer:
        Appender(writer).append_snapshots([snapshot(as_of=1)], NOW + timedelta(seconds=1))

    assert retried(store_url) == Retried(tried=1, released=1)
    with psycopg.connect(store_url) as desk:
        sources = desk.execute("SELECT source FROM events ORDER BY seq").fetchall()
    assert sources == [("partner",), ("rest",)]
