-- Retractions: a fact of the log that names another fact of the same position.

ALTER TABLE events
    ADD COLUMN retracts text COLLATE "C",
    ADD CONSTRAINT events_retractions_are_operators
        CHECK (retracts IS NULL OR (
            type = 'retraction' AND source = 'import' AND status IS NULL
            AND supersedes_before IS NULL AND position_id <> '' AND retracts <> event_id
        ));
COMMENT ON TABLE events IS
    'The log: every event, every snapshot and every retraction, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused.';
COMMENT ON COLUMN events.event_id IS 'The envelope''s id (evt_...); of a snapshot (snp_...) or a retraction (ret_...) a name made of its content.';
COMMENT ON COLUMN events.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected, and for a retraction.';
COMMENT ON COLUMN events.created_at IS 'When the vendor emitted the event; of a snapshot its as-of, of a retraction when the operator made it. UTC, microseconds.';
COMMENT ON COLUMN events.source IS 'partner or customer (a gateway), import (a file, or an operator''s retraction), rest (a snapshot).';
COMMENT ON COLUMN events.retracts IS 'Only of retractions: the event_id of the fact of this position that does not count. See retractions.';

CREATE INDEX events_retractions ON events (position_id, retracts) WHERE retracts IS NOT NULL;

INSERT INTO event_types (type, precedence, description)
VALUES ('retraction', 0, 'An operator''s statement that a fact is wrong. It has no status and takes no part in the order.')
ON CONFLICT (type) DO NOTHING;

CREATE FUNCTION is_retracted(
    of_position text,
    of_fact text,
    known_at timestamptz DEFAULT 'infinity',
    depth integer DEFAULT 0
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    -- A retraction names one fact, so those that lead to a fact form a tree with it as the root.
    -- The bound keeps a chain that no operator makes from exhausting the server's stack.
    RETURN depth < 100 AND EXISTS (
        SELECT FROM events r
        WHERE r.position_id = of_position AND r.retracts = of_fact
            AND r.received_at <= is_retracted.known_at
            AND NOT is_retracted(of_position, r.event_id, is_retracted.known_at, depth + 1)
    );
END
$$;
COMMENT ON FUNCTION is_retracted(text, text, timestamptz, integer) IS
    'Whether a fact of a position does not count: whether a retraction names it that is not retracted itself, of those received by known_at. depth is how many links of a chain of retractions lead to it from the fact in question; a chain is followed for 100.';

CREATE VIEW retractions AS
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

CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, import, or retract.';
END
$$;
