CREATE OR REPLACE VIEW retractions WITH (security_invoker = true) AS
SELECT
    e.seq,
    e.position_id,
    e.event_id,
    e.retracts,
    jsonb_from_wire(e.envelope) -> 'data' ->> 'reason' AS reason,
    e.created_at,
    e.received_at,
    NOT is_retracted(e.position_id, e.event_id) AS stands
FROM events e
WHERE e.retracts IS NOT NULL;
COMMENT ON VIEW retractions IS
    'Each retraction in the log: which fact an operator declared wrong, why, and whether the retraction stands or was itself retracted.';
COMMENT ON COLUMN retractions.seq IS 'Its place in the log.';
COMMENT ON COLUMN retractions.position_id IS 'The position.';
COMMENT ON COLUMN retractions.event_id IS 'The retraction''s own id (ret_...).';
COMMENT ON COLUMN retractions.retracts IS 'The event_id of the fact that it names: an event, a snapshot or another retraction.';
COMMENT ON COLUMN retractions.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN retractions.created_at IS 'When the operator made it. UTC.';
COMMENT ON COLUMN retractions.received_at IS 'When it reached this store: from then on it counts.';
COMMENT ON COLUMN retractions.stands IS 'Whether it counts: false where another retraction that stands names it.';
