"""Whether a process is alive and ready."""

import json
from dataclasses import replace

import pytest

from positionstore.ingest.meter import Meter, Standing
from positionstore.model.check import Check
from positionstore.store import migrations
from positionstore.web.health import Pulse, body, readiness
from positionstore.web.store_reader import Reading

WELL = Reading(looked_at=1000.0, reachable=True, revision=migrations.head())


def failing(reading: Reading, *, database: bool | None = None, connected: bool = True) -> list[str]:
    meter = Meter()
    meter.database_up = database
    meter.standing = lambda: Standing(connected=connected)
    checks = readiness(meter, reading, lambda: 1010.0)
    assert [check.name for check in checks] == ["database", "schema", "gateway"]
    return [check.name for check in checks if not check.ok]


@pytest.mark.parametrize("database", [None, True])
def test_it_is_ready_where_database_schema_and_gateway_are_well(database: bool | None) -> None:
    assert failing(WELL, database=database) == []


def test_each_of_them_is_named_where_it_fails() -> None:
    assert failing(WELL, connected=False) == ["gateway"]
    assert failing(WELL, database=False) == ["database"]
    assert failing(replace(WELL, revision="0001")) == ["schema"]
    assert failing(replace(WELL, revision=None)) == ["schema"]
    assert failing(replace(WELL, reachable=False)) == ["database"]
    assert failing(Reading(), connected=False) == ["database", "schema", "gateway"]


def test_what_was_seen_long_ago_is_not_believed() -> None:
    assert failing(replace(WELL, looked_at=900.0)) == ["database"]


def test_a_loop_that_has_not_turned_for_long_is_stuck() -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    now = 14.0
    assert pulse.check().ok
    now = 16.0
    assert not pulse.check().ok
    assert "16 s" in pulse.check().says
    pulse.beat()
    assert pulse.check().ok


def test_the_body_names_what_fails_and_more_only_where_it_is_asked_for() -> None:
    checks = [Check("one", True, "It is well."), Check("two", False, "It is not.")]

    assert json.loads(body(checks, verbose=False)) == {"status": "failing", "failing": ["two"]}
    assert json.loads(body(checks[:1], verbose=True)) == {
        "status": "ok",
        "failing": [],
        "checks": [{"name": "one", "ok": True, "detail": "It is well."}],
    }
