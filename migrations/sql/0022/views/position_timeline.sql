-- Each window is of one position, so that a look for one position reads the facts of that one.
CREATE OR REPLACE VIEW position_timeline WITH (security_invoker = true) AS
SELECT
    o.position_id,
    row_number() OVER in_order AS place,
    o.seq,
    o.event_id,
    o.type,
    o.status,
    o.phase,
    o.created_at,
    o.received_at,
    o.received_at - o.created_at AS delay,
    o.source,
    o.supersedes_before,
    coalesce(o.seq > min(o.seq) OVER after_it, false) AS out_of_order,
    o.overruled,
    o.won,
    changed_fields(
        jsonb_from_wire(lag(o.envelope) OVER of_its_kind) -> 'data',
        jsonb_from_wire(o.envelope) -> 'data'
    ) AS changed,
    o.retracted_by,
    EXISTS (SELECT FROM archived_positions m WHERE m.position_id = o.position_id) AS archived,
    extract(epoch FROM o.received_at - o.created_at)::numeric(18,6) AS delay_seconds
FROM (
    SELECT
        f.*,
        f.retracted_by IS NULL AND CASE
            WHEN f.supersedes_before IS NULL THEN f.created_at <= p.supersedes_before
            ELSE f.event_id <> first_value(f.event_id) OVER (
                PARTITION BY f.position_id
                ORDER BY
                    f.supersedes_before IS NULL OR f.retracted_by IS NOT NULL,
                    f.created_at DESC,
                    f.rank DESC
            )
        END IS TRUE AS overruled,
        (f.event_id = p.last_event_id) IS TRUE AS won
    FROM (
        SELECT
            f.*,
            (
                SELECT min(r.event_id)
                FROM events r
                WHERE r.position_id = f.position_id AND r.retracts = f.event_id
                    AND NOT is_retracted(r.position_id, r.event_id, depth => 1)
            ) AS retracted_by
        FROM ranked_facts f
    ) f
    LEFT JOIN positions p ON p.position_id = f.position_id
) o
WINDOW
    in_order AS (
        PARTITION BY o.position_id ORDER BY o.retracted_by IS NULL, NOT o.overruled, o.rank
    ),
    of_its_kind AS (
        PARTITION BY o.position_id, o.retracted_by IS NULL ORDER BY NOT o.overruled, o.rank
    ),
    after_it AS (
        PARTITION BY o.position_id
        ORDER BY o.retracted_by IS NULL DESC, NOT o.overruled DESC, o.rank DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    );
COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts: first those that are retracted, then those that its latest snapshot overrules, then those that count; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.position_id IS 'The position it speaks of; empty for a notification that names none.';
COMMENT ON COLUMN position_timeline.place IS 'Its place in the order, from 1.';
COMMENT ON COLUMN position_timeline.seq IS 'Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be skipped.';
COMMENT ON COLUMN position_timeline.event_id IS 'The envelope''s id (evt_...); of a snapshot a name made of its content (snp_...).';
COMMENT ON COLUMN position_timeline.type IS 'The envelope''s type, known or not; see event_types.';
COMMENT ON COLUMN position_timeline.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected.';
COMMENT ON COLUMN position_timeline.phase IS 'The phase of the fact''s status; live where the status is not in position_statuses.';
COMMENT ON COLUMN position_timeline.created_at IS 'When the vendor emitted the event; of a snapshot its as-of. UTC, microseconds.';
COMMENT ON COLUMN position_timeline.received_at IS 'When it reached positionstore, by our clock.';
COMMENT ON COLUMN position_timeline.delay IS 'received_at less created_at: two clocks, so a small one may be negative.';
COMMENT ON COLUMN position_timeline.source IS 'partner or customer (a gateway), import (a file), rest (a snapshot).';
COMMENT ON COLUMN position_timeline.supersedes_before IS 'Only of snapshots: events of this position created up to this moment are overruled.';
COMMENT ON COLUMN position_timeline.out_of_order IS 'Whether the log had a fact already that stands after this one.';
COMMENT ON COLUMN position_timeline.overruled IS 'Whether the position''s latest snapshot makes it count no longer.';
COMMENT ON COLUMN position_timeline.won IS 'Whether it is the fact that positions shows.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first. What is retracted is passed over, and compared only with its like.';
COMMENT ON COLUMN position_timeline.retracted_by IS 'The event_id of the retraction that makes it count no longer (the least, of several); NULL where it counts. See retractions.';
COMMENT ON COLUMN position_timeline.archived IS 'Whether other facts of the position are in an archive: then these are the few that the log keeps.';
COMMENT ON COLUMN position_timeline.delay_seconds IS 'delay in seconds, exact.';
