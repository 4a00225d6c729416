CREATE OR REPLACE VIEW position_notifications WITH (security_invoker = true) AS
SELECT
    e.seq,
    e.event_id,
    e.position_id,
    e.type,
    CASE WHEN jsonb_typeof(d.data -> 'code') = 'string' THEN d.data ->> 'code' END AS code,
    CASE WHEN jsonb_typeof(d.data -> 'message') = 'string' THEN d.data ->> 'message' END AS message,
    d.data -> 'params' AS params,
    bigint_from_wire(d.data -> 'params' ->> 'filled_bps') AS filled_bps,
    bigint_from_wire(d.data -> 'params' ->> 'attempt_number') AS attempt_number,
    -- A cast of the whole, since a CASE has no precision.
    (CASE WHEN d.data -> 'params' ->> 'cumulative_filled_making_amount' ~ '^-?[0-9]{1,38}$'
        THEN d.data -> 'params' ->> 'cumulative_filled_making_amount'
    END)::numeric(38, 0) AS cumulative_filled_making_amount,
    -- A cast of the whole, since a CASE has no precision.
    (CASE WHEN d.data -> 'params' ->> 'target_making_amount' ~ '^-?[0-9]{1,38}$'
        THEN d.data -> 'params' ->> 'target_making_amount'
    END)::numeric(38, 0) AS target_making_amount,
    e.created_at,
    e.received_at,
    e.source
FROM events e
CROSS JOIN LATERAL (SELECT jsonb_from_wire(e.envelope) -> 'data' AS data OFFSET 0) d
WHERE e.status IS NULL AND e.retracts IS NULL
    AND NOT EXISTS (
        SELECT FROM events r
        WHERE r.position_id = e.position_id AND r.retracts = e.event_id
            AND NOT is_retracted(r.position_id, r.event_id, depth => 1)
    );
COMMENT ON VIEW position_notifications IS
    'The events whose data is a notification and no position: what the vendor tells the customer of a position. The log has them like all events; they change no position. Retracted ones are left out.';
COMMENT ON COLUMN position_notifications.seq IS 'Its place in the log.';
COMMENT ON COLUMN position_notifications.event_id IS 'The envelope''s id (evt_...).';
COMMENT ON COLUMN position_notifications.position_id IS 'The position that its params name; empty where they name none.';
COMMENT ON COLUMN position_notifications.type IS 'The envelope''s type.';
COMMENT ON COLUMN position_notifications.code IS 'What it is about, for programs, such as PARTIAL_OPEN_PROGRESS; new ones may come. NULL where it has none.';
COMMENT ON COLUMN position_notifications.message IS 'What it says to the customer.';
COMMENT ON COLUMN position_notifications.params IS 'All of its parameters.';
COMMENT ON COLUMN position_notifications.filled_bps IS 'Of PARTIAL_OPEN_PROGRESS: how much of the opening is filled. In basis points.';
COMMENT ON COLUMN position_notifications.attempt_number IS 'Which attempt it is about.';
COMMENT ON COLUMN position_notifications.cumulative_filled_making_amount IS 'Of PARTIAL_OPEN_PROGRESS: the amount filled until then, in the vendor''s unit, which is not documented.';
COMMENT ON COLUMN position_notifications.target_making_amount IS 'Of PARTIAL_OPEN_PROGRESS: the amount to be filled, in the same unit.';
COMMENT ON COLUMN position_notifications.created_at IS 'When the vendor emitted it. UTC.';
COMMENT ON COLUMN position_notifications.received_at IS 'When it reached positionstore, by our clock.';
COMMENT ON COLUMN position_notifications.source IS 'The source of the event: partner, customer or import.';
