CREATE OR REPLACE VIEW ranked_facts WITH (security_invoker = true) AS
SELECT
    e.seq,
    e.event_id,
    e.position_id,
    e.type,
    e.status,
    e.created_at,
    e.received_at,
    e.source,
    e.supersedes_before,
    e.envelope,
    coalesce(s.phase, 'live') AS phase,
    rank_of_fact(s.phase, e.created_at, s.precedence, t.precedence, e.event_id) AS rank
FROM events e
LEFT JOIN position_statuses s ON s.status = e.status
LEFT JOIN event_types t ON t.type = e.type
WHERE e.status IS NOT NULL;
COMMENT ON VIEW ranked_facts IS
    'The facts that say something of a position, each with its rank in the order of facts. Notifications are left out.';
COMMENT ON COLUMN ranked_facts.seq IS 'Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be skipped.';
COMMENT ON COLUMN ranked_facts.event_id IS 'The envelope''s id (evt_...); of a snapshot a name made of its content (snp_...).';
COMMENT ON COLUMN ranked_facts.position_id IS 'The position it speaks of; empty for a notification that names none.';
COMMENT ON COLUMN ranked_facts.type IS 'The envelope''s type, known or not; see event_types.';
COMMENT ON COLUMN ranked_facts.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected.';
COMMENT ON COLUMN ranked_facts.created_at IS 'When the vendor emitted the event; of a snapshot its as-of. UTC, microseconds.';
COMMENT ON COLUMN ranked_facts.received_at IS 'When it reached positionstore, by our clock.';
COMMENT ON COLUMN ranked_facts.source IS 'partner or customer (a gateway), import (a file), rest (a snapshot).';
COMMENT ON COLUMN ranked_facts.supersedes_before IS 'Only of snapshots: events of this position created up to this moment are overruled.';
COMMENT ON COLUMN ranked_facts.envelope IS 'The JSON object as it came over the wire, all of it, to the letter.';
COMMENT ON COLUMN ranked_facts.phase IS 'The phase of the fact''s status today; live where the status is not in position_statuses.';
COMMENT ON COLUMN ranked_facts.rank IS 'Where the fact stands in the order of facts; the greater wins.';
