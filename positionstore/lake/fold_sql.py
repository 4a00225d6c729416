"""The order of facts as one SQL text for every engine, made from the field catalogue.

It is written in what DuckDB and Spark have in common, and reads the relations that :data:`HEAD`
lists; ``retracted`` is as known at the moment that is asked for. One function has another name in
each engine: ``unix_micros``.

Both compare text by the bytes of its UTF-8. Nothing that is sorted or compared here is NULL, but
where ``IS DISTINCT FROM`` says so.
"""

from datetime import UTC, datetime
from typing import Final

from positionstore.store.read.facts import BODY_FIELDS, POSITION_COLUMNS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

HEAD: Final = """\
-- Reads: facts, the lake's table; statuses (status, phase, phase_place, precedence) and
-- types (type, precedence), the precedences; retracted (position_id, event_id, retracted_by), what
-- standing retractions name. unix_micros(time) is the microseconds since 1970.
"""
"""What the text needs from those who run it elsewhere."""

_FROM_THE_FACT: Final = {
    "phase": "coalesce(s.phase, 'live')",
    "last_event_id": "f.event_id",
    "last_event_type": "f.type",
    "last_event_at": "f.created_at",
    "supersedes_before": "w.supersedes_before",
    "updated_at": "f.received_at",
}
"""The columns of a position that its fact has under another name."""


def positions(*, valid_at: datetime | None = None, known_at: datetime | None = None) -> str:
    """Return the query for positions, as they are or as they were.

    Args:
        valid_at: only facts created by then count; None for all.
        known_at: only facts received by then count; None for all.
    """
    columns = ",\n".join(
        f"    {_FROM_THE_FACT.get(name, f'f.{name}')} AS {name}" for name in POSITION_COLUMNS
    )
    return (
        f"WITH {_winners(valid_at, known_at)}\n"
        f"SELECT\n    w.seq,\n{columns}\nFROM winners w\nJOIN facts f ON f.seq = w.seq\n"
        "LEFT JOIN statuses s ON s.status = f.status\n"
    )


def retractions(*, known_at: datetime | None = None) -> str:
    """Return the query for the retractions of a lake.

    Args:
        known_at: only those received by then; None for all.
    """
    query = "SELECT position_id, event_id, retracts FROM facts WHERE retracts IS NOT NULL"
    if known_at is not None:
        query += f" AND unix_micros(received_at) <= {micros(known_at)}"
    return query


def timeline() -> str:
    """Return the query for the facts of each position in the order of facts, the greatest last.

    It is asked of the facts of few positions, and ``facts`` has no others then.
    """
    return f"WITH {_winners(None, None)},\n{_TIMELINE.format(ranked=_RANKED)}"


def differences() -> str:
    """Return the query for where ``folded`` and ``stored`` differ: the position, kind and columns.

    ``folded`` is what :func:`positions` gives and ``stored`` what
    :func:`positionstore.store.read.facts.of_positions` does.
    """
    compared = ",\n".join(
        f"        CASE WHEN f.{name} IS DISTINCT FROM p.{name} THEN '{name}' END"
        for name in POSITION_COLUMNS
        if name != "position_id"
    )
    return _DIFFERENCES.format(columns=compared)


def facts_columns() -> tuple[str, ...]:
    """Return the columns of the lake's table of facts."""
    return (*_OF_THE_LOG, *(each.column for each in BODY_FIELDS), *_OF_THE_BODY)


_OF_THE_LOG: Final = (
    "seq",
    "event_id",
    "position_id",
    "type",
    "status",
    "created_at",
    "received_at",
    "source",
    "supersedes_before",
    "retracts",
)
_OF_THE_BODY: Final = ("misfit_fields", "data_md5", "envelope")


def micros(moment: datetime) -> int:
    """Return a moment as microseconds since 1970, exactly."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _winners(valid_at: datetime | None, known_at: datetime | None) -> str:
    """Return what finds the greatest fact of each position, among those of a moment."""
    conditions = "".join(
        f"\n        AND unix_micros(f.{column}) <= {micros(moment)}"
        for column, moment in (("created_at", valid_at), ("received_at", known_at))
        if moment is not None
    )
    ranked = f"{_RANKED}{conditions}\n        AND r.retracted_by IS NULL"
    return _WINNERS.format(
        ranked=ranked, snapshots=f"{ranked}\n        AND f.supersedes_before IS NOT NULL"
    )


_RANKED: Final = """SELECT
        f.seq, f.position_id, f.event_id, f.supersedes_before, r.retracted_by,
        unix_micros(f.created_at) AS created_us,
        unix_micros(f.supersedes_before) AS overrules_us,
        coalesce(s.phase_place, 1) AS phase_place,
        coalesce(s.precedence, 0) AS status_precedence,
        coalesce(t.precedence, 0) AS type_precedence
    FROM facts f
    LEFT JOIN statuses s ON s.status = f.status
    LEFT JOIN types t ON t.type = f.type
    LEFT JOIN retracted r ON r.position_id = f.position_id AND r.event_id = f.event_id
    WHERE f.status IS NOT NULL"""
"""Facts that speak of a position, with their places: the greater wins."""

_WINNERS: Final = """ranked AS (
    -- Facts that speak of a position, with their places: the greater wins.
    {ranked}
),
snapshots AS (
    -- The same, of snapshots alone: of a relation that is read twice DuckDB would keep all rows.
    {snapshots}
),
latest_snapshot AS (
    -- Of several snapshots of one position only the one with the latest as-of counts.
    SELECT
        position_id,
        max_by(seq, (created_us, phase_place, status_precedence, type_precedence, event_id))
            AS snapshot_seq,
        max_by(
            supersedes_before,
            (created_us, phase_place, status_precedence, type_precedence, event_id)
        ) AS supersedes_before,
        max_by(
            overrules_us,
            (created_us, phase_place, status_precedence, type_precedence, event_id)
        ) AS overrules_us
    FROM snapshots
    GROUP BY position_id
),
winners AS (
    -- Phase and time are one number, for each part of a key costs time. Between the years 1 and
    -- 9999 there are fewer than 10^18 microseconds.
    SELECT
        k.position_id,
        max_by(
            k.seq,
            (
                k.phase_place * 1000000000000000000 + k.created_us,
                k.status_precedence, k.type_precedence, k.event_id
            )
        ) AS seq,
        max(l.supersedes_before) AS supersedes_before
    FROM ranked k
    LEFT JOIN latest_snapshot l ON l.position_id = k.position_id
    WHERE CASE
        WHEN k.supersedes_before IS NOT NULL THEN k.seq = l.snapshot_seq
        WHEN l.snapshot_seq IS NOT NULL THEN k.created_us > l.overrules_us
        ELSE true
    END
    GROUP BY k.position_id
)"""

_TIMELINE: Final = """all_ranked AS (
    {ranked}
),
placed AS (
    SELECT
        k.*,
        k.retracted_by IS NULL AND coalesce(CASE
            WHEN k.supersedes_before IS NULL THEN k.created_us <= l.overrules_us
            ELSE k.seq <> l.snapshot_seq
        END, false) AS overruled,
        coalesce(w.seq = k.seq, false) AS won
    FROM all_ranked k
    LEFT JOIN latest_snapshot l ON l.position_id = k.position_id
    LEFT JOIN winners w ON w.position_id = k.position_id
),
in_order AS (
    SELECT
        p.*,
        row_number() OVER (
            PARTITION BY p.position_id
            ORDER BY
                CASE WHEN p.retracted_by IS NULL THEN 1 ELSE 0 END,
                CASE WHEN p.overruled THEN 0 ELSE 1 END,
                p.phase_place, p.created_us, p.status_precedence, p.type_precedence, p.event_id
        ) AS place
    FROM placed p
)
SELECT
    o.position_id,
    o.place,
    o.seq,
    f.event_id,
    f.type,
    f.status,
    coalesce(s.phase, 'live') AS phase,
    f.created_at,
    f.received_at,
    f.source,
    f.supersedes_before,
    coalesce(
        o.seq > min(o.seq) OVER (
            PARTITION BY o.position_id ORDER BY o.place
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ),
        false
    ) AS out_of_order,
    o.overruled,
    o.won,
    o.retracted_by
FROM in_order o
JOIN facts f ON f.seq = o.seq
LEFT JOIN statuses s ON s.status = f.status
ORDER BY o.position_id, o.place
"""

_DIFFERENCES: Final = """SELECT * FROM (
    SELECT
        coalesce(p.position_id, f.position_id) AS position_id,
        CASE
            WHEN p.position_id IS NULL THEN 'missing'
            WHEN f.position_id IS NULL THEN 'unfounded'
            ELSE 'different'
        END AS kind,
        CASE WHEN p.position_id IS NULL OR f.position_id IS NULL THEN '' ELSE concat_ws(',',
{columns}
        ) END AS columns
    FROM stored p
    FULL OUTER JOIN folded f ON f.position_id = p.position_id
    WHERE NOT coalesce(p.changed_since, false)
) compared
WHERE kind <> 'different' OR columns <> ''
ORDER BY position_id
"""
