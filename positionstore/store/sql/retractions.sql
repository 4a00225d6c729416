-- Retractions: facts that name another fact.

-- name: append
-- Puts a retraction into the log, if it is new.
INSERT INTO events (
    event_id, position_id, type, status, created_at, received_at, source, envelope, retracts
)
VALUES (
    %(event_id)s, %(position_id)s, 'retraction', NULL, %(created_at)s, %(received_at)s, 'import',
    %(envelope)s, %(retracts)s
)
ON CONFLICT (position_id, event_id) DO NOTHING
RETURNING seq;

-- name: positions_with
-- The positions of which the log has a fact with this id. Without a position this reads the keys of
-- the whole log.
SELECT position_id FROM events WHERE event_id = %(event_id)s ORDER BY position_id LIMIT 100;

-- name: fact
-- One fact of the log.
SELECT position_id, event_id, type, status, created_at, source, retracts
FROM events
WHERE position_id = %(position_id)s AND event_id = %(event_id)s;

-- name: standing
-- The retractions of a fact that stand.
SELECT r.event_id
FROM events r
WHERE r.position_id = %(position_id)s AND r.retracts = %(event_id)s
  AND NOT is_retracted(r.position_id, r.event_id, depth => 1)
ORDER BY r.event_id;

-- name: state
-- What positions shows of a position.
SELECT status, phase, last_event_id, last_event_type, last_event_at
FROM positions WHERE position_id = %(position_id)s;
