"""Each column of ``positions`` is filled from its path on the wire."""

import json
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import itemgetter

import psycopg
from psycopg.rows import dict_row
from support.factories import NOON, received

from positionstore.model.fields import FIELDS, FIRST_FIELDS, Field, Kind
from positionstore.sandbox import World
from positionstore.store.appender import Appender

TYPES = (
    "position.created",
    "position.opened",
    "position.force_unwound",
    "position.partial_closed",
    "position.close_requested",
    "position.settlement_state_changed",
    "position.closed",
    "position.settled",
    "position.liquidated",
    "position.reverted",
    "position.cancelled",
)


@cache
def envelopes() -> dict[str, bytes]:
    """One envelope of each type, from the sandbox's world."""
    world = World(seed=11, positions=60)
    found: dict[str, bytes] = {}
    while not found.keys() >= set(TYPES):
        emission = world.step()
        found.setdefault(emission.type, emission.envelope)
    return found


def on_the_wire(data: object, field: Field) -> object:
    for key in field.path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def as_stored(value: object, kind: Kind) -> object:
    if value is None:
        return None
    if kind is Kind.TIME:
        return datetime.fromisoformat(str(value))
    if kind is Kind.UNITS:
        return Decimal(str(value))
    if kind in {Kind.PIPS, Kind.BPS, Kind.MINUTES}:
        return int(str(value))
    return value


def test_every_shape_fills_its_columns(connection: psycopg.Connection, appender: Appender) -> None:
    for kind in TYPES:
        raw = envelopes()[kind]
        envelope = json.loads(raw)
        position_id = envelope["data"]["id"] = f"dm_pos_{kind}"
        raw = json.dumps(envelope).encode()
        appender.append([received(raw)])
        row = (
            connection.cursor(row_factory=dict_row)
            .execute("SELECT * FROM positions WHERE position_id = %s", [position_id])
            .fetchone()
        )
        assert row is not None
        assert row["misfit_fields"] == []
        for field in FIELDS:
            wire = on_the_wire(envelope["data"], field)
            assert row[field.column] == as_stored(wire, field.kind), (kind, field.wire_name)
        assert row["data"] == envelope["data"]
        assert (row["last_event_id"], row["last_event_type"]) == (envelope["id"], kind)
        assert row["source"] == "partner"
        assert row["last_event_at"] == datetime.fromisoformat(envelope["created_at"])
        assert row["updated_at"] == received(raw).received_at > NOON
        assert row["verified_at"] is None


def test_between_them_the_shapes_fill_every_column() -> None:
    filled = {
        field.column
        for raw in envelopes().values()
        for field in FIELDS
        if on_the_wire(json.loads(raw)["data"], field) is not None
    }
    assert filled >= {field.column for field in FIRST_FIELDS}


WRONG: dict[Kind, tuple[object, ...]] = {
    Kind.TEXT: (1, True, [], {}, ["text"]),
    Kind.PIPS: ("", " ", "1.5", 1.5, "1e3", "x", "+1", "1,2", "-", "--1", True, [1], {}, 2**63),
    Kind.BPS: ("", "0x10", 0.5, "1 ", False, [], {"bps": 1}, str(-(2**63) - 1)),
    Kind.MINUTES: ("", "soon", 1.25, [], "9" * 40),
    Kind.UNITS: (
        "",
        "1.5",
        1.5,
        "NaN",
        "Infinity",
        "1e3",
        True,
        [],
        {},
        "9" * 39,
        -(10**38),
        "0" * 1001,
    ),
    Kind.TIME: ("", "now", "infinity", "2026-02-30T00:00:00Z", "2026-07-01T12:00:00", 5, [], True),
    Kind.FLAG: ("true", "", 1, 0, [], {}),
}
RIGHT: dict[Kind, tuple[object, ...]] = {
    Kind.TEXT: (
        "",
        "text",
        "".join(map(str, range(20_000))),
        "'; DROP TABLE events; --",
        "\x07",
        "é🦊",
    ),
    Kind.PIPS: ("0", "-1", 7, -7, str(2**63 - 1), str(-(2**63)), 2**63 - 1, "007"),
    Kind.BPS: (0, "20000", -5),
    Kind.MINUTES: (0, 525600, "1"),
    Kind.UNITS: ("0", "9" * 38, "0" * 900 + "7", 10**30, -(10**38) + 1, "-1"),
    Kind.TIME: ("2026-07-01T12:00:00Z", "2026-07-01T14:00:00.123456+02:00"),
    Kind.FLAG: (True, False),
}
OWN = {"position_id", "status"}  # without these a fact is no position at all


def body_with(field: Field, value: object) -> bytes:
    data: dict[str, object] = {"id": "dm_pos_1", "status": "open"}
    inner = data
    for key in field.path[:-1]:
        section: dict[str, object] = {}
        inner[key] = section
        inner = section
    inner[field.path[-1]] = value
    return json.dumps(
        {
            "id": f"evt_{field.column}",
            "type": "position.opened",
            "created_at": "2026-07-01T12:00:00Z",
            "data": data | {"id": f"dm_{field.column}_{hash(str(value))}_{type(value).__name__}"},
        }
    ).encode()


def test_a_value_of_the_wrong_kind_costs_its_field_alone(
    connection: psycopg.Connection, appender: Appender
) -> None:
    cases = [
        (field, value) for field in FIELDS if field.column not in OWN for value in WRONG[field.kind]
    ]
    raws = [body_with(field, value) for field, value in cases]
    outcome = appender.append([received(raw) for raw in raws])
    assert (outcome.appended, outcome.quarantined, outcome.positions) == (len(cases), 0, len(cases))
    rows = connection.cursor(row_factory=dict_row).execute("SELECT * FROM positions").fetchall()
    by_id = {row["position_id"]: row for row in rows}
    for (field, value), raw in zip(cases, raws, strict=True):
        data = json.loads(raw)["data"]
        row = by_id[data["id"]]
        assert row[field.column] is None, (field.wire_name, value)
        assert row["misfit_fields"] == [field.wire_name], (field.wire_name, value)
        assert row["data"] == data


def test_a_value_at_the_edge_of_its_kind_is_kept(
    connection: psycopg.Connection, appender: Appender
) -> None:
    cases = [
        (field, value) for field in FIELDS if field.column not in OWN for value in RIGHT[field.kind]
    ]
    raws = [body_with(field, value) for field, value in cases]
    assert appender.append([received(raw) for raw in raws]).positions == len(cases)
    rows = connection.cursor(row_factory=dict_row).execute("SELECT * FROM positions").fetchall()
    by_id = {row["position_id"]: row for row in rows}
    for (field, value), raw in zip(cases, raws, strict=True):
        row = by_id[json.loads(raw)["data"]["id"]]
        assert row[field.column] == as_stored(value, field.kind), (field.wire_name, value)
        assert row["misfit_fields"] == []


def test_a_section_that_is_no_object_costs_its_fields_alone(
    connection: psycopg.Connection, appender: Appender
) -> None:
    sections = sorted({field.section for field in FIELDS} - {""})
    wrong = {
        "null": None,
        "array": [],
        "text": "text",
        "number": 7,
        "flag": True,
        "of": [{"id": 1}],
    }
    for section in sections:
        for name, value in wrong.items():
            data = {"id": f"{section}/{name}", "status": "open", "side": "yes", section: value}
            content = {"id": "e", "type": "t", "created_at": "2026-07-01T12:00:00Z", "data": data}
            assert appender.append([received(json.dumps(content).encode())]).positions == 1
    rows = connection.cursor(row_factory=dict_row).execute("SELECT * FROM positions").fetchall()
    assert len(rows) == len(sections) * len(wrong)
    for row in rows:
        section, _, name = row["position_id"].partition("/")
        assert row["side"] == "yes"
        assert row["misfit_fields"] == ([] if name == "null" else [section])
        columns = [field.column for field in FIELDS if field.section == section]
        assert set(itemgetter(*columns, "verified_at")(row)) == {None}
