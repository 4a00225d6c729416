-- The facts of the log and the rows of positions, as a lake has them.

-- name: between
-- The facts of a range of seqs, each with what it says of its position; for a fact that says nothing
-- of one those columns are NULL. One look-up by key a fact, whatever the planner thinks.
SELECT
    e.seq, e.event_id, e.position_id, e.type, e.status, e.created_at, e.received_at, e.source,
    e.supersedes_before, e.retracts, {fields},
    to_json(f.misfit_fields)::text AS misfit_fields, md5(f.data::text) AS data_md5, e.envelope
FROM events e
LEFT JOIN LATERAL (SELECT * FROM fact_positions f WHERE {of_fact} f.seq = e.seq {once}) f
    ON e.status IS NOT NULL
WHERE e.seq > {after} AND e.seq <= {until};

-- name: positions
-- The rows of positions, and whether a fact after a seq may have changed one since; a position that
-- such a fact alone speaks of has a row here, too.
SELECT
    coalesce(p.position_id, l.position_id) AS position_id,
    l.position_id IS NOT NULL AS changed_since,
    {fields},
    to_json(p.misfit_fields)::text AS misfit_fields, md5(p.data::text) AS data_md5
FROM positions p
FULL JOIN (
    SELECT DISTINCT position_id FROM events
    WHERE seq > {seq} AND (status IS NOT NULL OR retracts IS NOT NULL)
) l ON l.position_id = p.position_id;

-- name: statuses
-- The statuses that the order of facts knows.
SELECT status, phase, precedence FROM position_statuses ORDER BY status;

-- name: types
-- The types that the order of facts knows.
SELECT type, precedence FROM event_types ORDER BY type;

-- name: is_there
-- Whether a fact of a seq is the one that is known by an id.
SELECT event_id = %(event_id)s FROM events WHERE seq = %(seq)s;

-- name: may_be_archived
-- Whether a fact of a seq, which the log has not, may be in an archive. Seqs are also missing where a
-- duplicate was refused.
SELECT EXISTS (
    SELECT FROM archives
    WHERE restored_at IS NULL AND %(seq)s BETWEEN first_seq AND last_seq
);

-- name: bodies
-- What some envelopes say of their positions, in the columns that a lake has of them.
SELECT
{values},
    to_json({misfits})::text AS misfit_fields,
    md5(body.data::text) AS data_md5
FROM unnest(%(envelopes)s::json[], %(supersede)s::timestamptz[])
    WITH ORDINALITY AS f (envelope, supersedes_before, ordinal)
CROSS JOIN LATERAL {body}
{parts}
ORDER BY f.ordinal;
