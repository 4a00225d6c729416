"""The tables, as SQLAlchemy says them.

Alembic compares a database with them (``alembic check``), and a test does so to the last
constraint. The migrations alone change a database. The columns of ``positions`` and of the
valuations come from the field catalogue. Comments stand in the SQL of the migrations.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB
from sqlalchemy.types import TypeEngine

from positionstore.model.fields import ADDED_FIELDS, FIRST_FIELDS, VALUATION_FIELDS, Kind

metadata = MetaData()


def _word() -> Text:
    return Text(collation="C")


def _moment() -> DateTime:
    return DateTime(timezone=True)


position_statuses = Table(
    "position_statuses",
    metadata,
    Column("status", _word(), primary_key=True),
    Column("phase", Text, nullable=False),
    Column("precedence", Integer, nullable=False),
    Column("is_terminal", Boolean, Computed("phase = 'terminal'", persisted=True), nullable=False),
    Column("description", Text, nullable=False),
    CheckConstraint("phase IN ('pending', 'live', 'terminal')"),
)

event_types = Table(
    "event_types",
    metadata,
    Column("type", _word(), primary_key=True),
    Column("precedence", Integer, nullable=False),
    Column("description", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("event_id", _word(), nullable=False),
    Column("position_id", _word(), nullable=False),
    Column("type", _word(), nullable=False),
    Column("status", _word()),
    Column("created_at", _moment(), nullable=False),
    Column("received_at", _moment(), nullable=False),
    Column("source", _word(), nullable=False),
    Column("supersedes_before", _moment()),
    Column("envelope", JSON, nullable=False),
    Column("retracts", _word()),
    PrimaryKeyConstraint(
        "position_id", "event_id", postgresql_include=["created_at", "received_at"]
    ),
    CheckConstraint("source IN ('partner', 'customer', 'import', 'rest')"),
    CheckConstraint(
        "(source = 'rest') = (supersedes_before IS NOT NULL)",
        name="events_snapshots_come_from_rest",
    ),
    CheckConstraint(
        "retracts IS NULL OR (type = 'retraction' AND source = 'import' AND status IS NULL"
        " AND supersedes_before IS NULL AND position_id <> '' AND retracts <> event_id)",
        name="events_retractions_are_operators",
    ),
)
Index("events_seq", events.c.seq, unique=True)
Index(
    "events_snapshots",
    events.c.position_id,
    events.c.created_at,
    postgresql_where=text("supersedes_before IS NOT NULL"),
)
Index(
    "events_retractions",
    events.c.position_id,
    events.c.retracts,
    postgresql_where=text("retracts IS NOT NULL"),
)
Index(
    "events_of_stream",
    events.c.seq,
    postgresql_where=text("source IN ('partner', 'customer')"),
)
Index("events_received", events.c.received_at, postgresql_using="brin")

archives = Table(
    "archives",
    metadata,
    Column("archive_id", _word(), primary_key=True),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("ended_before", _moment(), nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("positions", "facts", "first_seq", "last_seq")
    ),
    *(
        Column(name, _moment(), nullable=False)
        for name in (
            "first_created_at",
            "last_created_at",
            "first_received_at",
            "last_received_at",
            "archived_at",
        )
    ),
    Column("restored_at", _moment()),
)

archived_positions = Table(
    "archived_positions",
    metadata,
    Column("position_id", _word(), primary_key=True),
    Column("archive_id", _word(), ForeignKey("archives.archive_id"), nullable=False),
    Column("facts", BigInteger, nullable=False),
    *(
        Column(name, _moment(), nullable=False)
        for name in (
            "first_created_at",
            "last_created_at",
            "first_received_at",
            "last_received_at",
        )
    ),
    Column("digest", Text),
)
Index("archived_positions_archive", archived_positions.c.archive_id)


def _type_of(kind: Kind) -> TypeEngine[Any]:
    match kind:
        case Kind.TEXT:
            return Text()
        case Kind.UNITS:
            return Numeric(38, 0)
        case Kind.TIME:
            return _moment()
        case Kind.FLAG:
            return Boolean()
        case _:
            return BigInteger()


def _position_columns() -> Iterator[Column[Any]]:
    yield Column("position_id", _word(), primary_key=True)
    yield Column("status", _word(), nullable=False)
    yield Column("phase", _word(), nullable=False)
    for field in FIRST_FIELDS:
        if field.column not in {"position_id", "status"}:
            yield Column(field.column, _type_of(field.kind))
    yield Column("data", JSONB, nullable=False)
    yield Column("misfit_fields", ARRAY(Text), nullable=False, server_default=text("'{}'"))
    for name in ("last_event_id", "last_event_type"):
        yield Column(name, _word(), nullable=False)
    yield Column("last_event_at", _moment(), nullable=False)
    yield Column("source", _word(), nullable=False)
    yield Column("supersedes_before", _moment())
    yield Column("updated_at", _moment(), nullable=False)
    yield Column("verified_at", _moment())
    for field in ADDED_FIELDS:
        yield Column(field.column, _type_of(field.kind))


positions = Table("positions", metadata, *_position_columns())
Index("positions_live", positions.c.position_id, postgresql_where=text("phase <> 'terminal'"))
Index(
    "positions_misfit_fields",
    positions.c.position_id,
    postgresql_where=text("misfit_fields <> '{}'"),
)
Index("positions_wallet", positions.c.wallet_address, postgresql_using="hash")

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("reason", _word(), primary_key=True),
    Column("detail", Text, nullable=False),
    Column("source", _word(), nullable=False),
    Column("received_at", _moment(), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("released_at", _moment()),
)

stream_sessions = Table(
    "stream_sessions",
    metadata,
    Column("session_id", BigInteger, Identity(always=True), primary_key=True),
    Column("gateway", _word(), nullable=False),
    Column("started_at", _moment(), nullable=False),
    Column("last_seen_at", _moment(), nullable=False),
    Column("ended_at", _moment()),
    Column("end_reason", Text),
    Column("received", BigInteger, nullable=False, server_default=text("0")),
    Column("duplicates", BigInteger, nullable=False, server_default=text("0")),
    Column("quarantined", BigInteger, nullable=False, server_default=text("0")),
    Column("recovered", BigInteger, nullable=False, server_default=text("0")),
    Column("recovered_from", _moment()),
    Column("recovered_until", _moment()),
    CheckConstraint("gateway IN ('partner', 'customer')"),
    CheckConstraint("last_seen_at >= started_at"),
    CheckConstraint("ended_at >= started_at"),
    CheckConstraint("(recovered_from IS NULL) = (recovered_until IS NULL) AND recovered >= 0"),
)

store_identity = Table(
    "store_identity",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("environment", Text, nullable=False),
    Column("claimed_at", _moment(), nullable=False, server_default=text("now()")),
    CheckConstraint("only_row"),
    CheckConstraint("environment IN ('production', 'sandbox')"),
)

reconciliation_runs = Table(
    "reconciliation_runs",
    metadata,
    Column("run_id", BigInteger, Identity(always=True), primary_key=True),
    Column("trigger", _word(), nullable=False),
    Column("scope", _word(), nullable=False),
    Column("closed_since", _moment()),
    Column("closed_until", _moment()),
    Column("reach", _word()),
    Column("state", _word(), nullable=False, server_default=text("'running'")),
    Column("started_at", _moment(), nullable=False),
    Column("finished_at", _moment()),
    Column("as_of", _moment()),
    *(
        Column(name, BigInteger, nullable=False, server_default=text("0"))
        for name in (
            "seen",
            "missing",
            "stale",
            "divergent",
            "absent_upstream",
            "repaired",
            "unresolved",
            "requests",
            "retries",
        )
    ),
    Column("duration", Interval, Computed("finished_at - started_at", persisted=True)),
    Column("error", Text),
    Column("clock_offset", Interval),
    *(
        Column(
            f"{name}_seconds",
            Numeric(18, 6),
            Computed(f"extract(epoch FROM {interval})", persisted=True),
        )
        for name, interval in (
            ("duration", "finished_at - started_at"),
            ("clock_offset", "clock_offset"),
        )
    ),
    CheckConstraint("scope IN ('recent', 'full', 'window')"),
    CheckConstraint("reach IN ('partner', 'wallets')"),
    CheckConstraint("state IN ('running', 'complete', 'partial', 'failed')"),
)
Index("reconciliation_runs_state", reconciliation_runs.c.state, reconciliation_runs.c.started_at)

discrepancies = Table(
    "discrepancies",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("position_id", _word(), nullable=False),
    Column("kind", _word(), nullable=False),
    Column("field", _word(), nullable=False, server_default=text("''")),
    Column("store_value", Text),
    Column("rest_value", Text),
    Column("resolution", _word(), nullable=False),
    Column("noticed_at", _moment(), nullable=False),
    PrimaryKeyConstraint("position_id", "run_id", "field"),
    CheckConstraint("kind IN ('missing', 'stale', 'divergent', 'absent_upstream', 'unreadable')"),
    CheckConstraint("resolution IN ('repaired', 'unresolved', 'in_flux')"),
)
Index("discrepancies_run", discrepancies.c.run_id)


def _valuation_columns() -> Iterator[Column[Any]]:
    for field in VALUATION_FIELDS:
        yield Column(field.path[-1], _type_of(field.kind))


position_sub_resources = Table(
    "position_sub_resources",
    metadata,
    Column("position_id", _word(), primary_key=True),
    Column("resource", _word(), primary_key=True),
    Column("asked_at", _moment(), nullable=False),
    Column("of_token_units", Numeric(38, 0)),
    Column("is_final", Boolean, nullable=False),
    Column("problem", Text),
    Column("read_at", _moment()),
    Column("body", JSON),
    CheckConstraint("resource IN ('unwinds', 'partial_closes')"),
)
Index(
    "position_sub_resources_open",
    position_sub_resources.c.position_id,
    postgresql_where=text("NOT is_final"),
)

valuations = Table(
    "valuations",
    metadata,
    Column("position_id", _word(), primary_key=True),
    Column("as_of", _moment(), nullable=False),
    *_valuation_columns(),
)

valuation_history = Table(
    "valuation_history",
    metadata,
    Column("position_id", _word(), primary_key=True),
    Column("as_of", _moment(), primary_key=True),
    *_valuation_columns(),
)

backfills = Table(
    "backfills",
    metadata,
    Column("backfill_id", BigInteger, Identity(always=True), primary_key=True),
    Column("what", _word(), nullable=False),
    Column("since", _moment()),
    Column("until", _moment()),
    Column("state", _word(), nullable=False, server_default=text("'unfinished'")),
    Column("started_at", _moment(), nullable=False),
    Column("updated_at", _moment(), nullable=False),
    Column("finished_at", _moment()),
    Column("as_of", _moment()),
    Column("parts", BigInteger, nullable=False, server_default=text("1")),
    *(
        Column(name, BigInteger, nullable=False, server_default=text("0"))
        for name in ("seen", "repaired", "unresolved", "requests")
    ),
    Column("run_id", BigInteger),
    CheckConstraint("what IN ('gaps', 'window', 'all')"),
    CheckConstraint("state IN ('unfinished', 'complete', 'given_up')"),
)

backfill_walks = Table(
    "backfill_walks",
    metadata,
    Column("backfill_id", BigInteger, nullable=False, autoincrement=False),
    Column("walk", _word(), nullable=False),
    Column("last_id", _word()),
    Column("ended", Boolean, nullable=False),
    PrimaryKeyConstraint("backfill_id", "walk"),
)
