-- Quarantine: inputs that could not be understood.

-- name: keep
-- Keeps an input; the same input once a reason.
INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
VALUES (
    coalesce(%(digest)s::bytea, sha256(%(raw)s)),
    %(reason)s, %(detail)s, %(source)s, %(received_at)s, %(raw)s
)
ON CONFLICT (digest, reason) DO NOTHING;

-- name: waiting
-- What waits, the oldest first, without the inputs themselves.
SELECT quarantine_id, reason, detail, source, received_at, length(raw) AS length
FROM quarantine
WHERE released_at IS NULL OR %(released_too)s
ORDER BY quarantine_id
LIMIT %(at_most)s;

-- name: show
-- One entry, whole.
SELECT quarantine_id, reason, detail, source, received_at, released_at, raw
FROM quarantine
WHERE quarantine_id = %(quarantine_id)s;

-- name: to_retry
-- The next entries that wait, after a number; all, or those that are named. As many as have few bytes
-- together, but one at least.
WITH following AS (
    SELECT quarantine_id, octet_length(raw) AS length
    FROM quarantine
    WHERE released_at IS NULL
      AND quarantine_id > %(after)s
      AND (%(only)s::bigint[] IS NULL OR quarantine_id = ANY (%(only)s))
    ORDER BY quarantine_id
    LIMIT 500
),
together AS (
    SELECT quarantine_id, sum(length) OVER (ORDER BY quarantine_id) - length AS length_before
    FROM following
)
SELECT quarantine_id, reason, detail, source, received_at, released_at, raw
FROM together
JOIN quarantine USING (quarantine_id)
WHERE length_before < %(enough_bytes)s
ORDER BY quarantine_id;

-- name: is_seen_since
-- Whether a reconciliation has verified a position after a moment, or appended a snapshot of it.
SELECT 1
FROM positions p
WHERE p.position_id = %(position_id)s
  AND (p.verified_at > %(moment)s OR EXISTS (
      SELECT FROM events e
      WHERE e.position_id = p.position_id AND e.source = 'rest' AND e.received_at > %(moment)s
  ));

-- name: release
-- Marks entries as understood after all.
UPDATE quarantine SET released_at = clock_timestamp()
WHERE quarantine_id = ANY (%(ids)s) AND released_at IS NULL;

-- name: count_waiting
-- How many wait, by reason.
SELECT reason, count(*) FROM quarantine WHERE released_at IS NULL GROUP BY reason ORDER BY reason;
