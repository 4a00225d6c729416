-- Stream sessions.

-- name: begin
-- A gateway accepted the connection.
INSERT INTO stream_sessions (gateway, started_at, last_seen_at)
VALUES (%(gateway)s, %(at)s, %(at)s)
RETURNING session_id;

-- name: begun
-- The session of a connection that was accepted at this very moment.
SELECT session_id FROM stream_sessions WHERE gateway = %(gateway)s AND started_at = %(at)s
ORDER BY session_id LIMIT 1;

-- name: prove_alive
-- Records a proof of life; never an older one than is known, and none after the end.
UPDATE stream_sessions SET last_seen_at = greatest(last_seen_at, %(at)s)
WHERE session_id = %(session_id)s AND ended_at IS NULL;

-- name: end
-- Records the last packet received, and why there were no more.
UPDATE stream_sessions
SET last_seen_at = greatest(last_seen_at, %(at)s),
    ended_at = greatest(last_seen_at, %(at)s),
    end_reason = %(reason)s
WHERE session_id = %(session_id)s;

-- name: recovered
-- Records the stretch before a session whose missed events were fetched.
UPDATE stream_sessions
SET recovered = %(events)s, recovered_from = %(since)s, recovered_until = %(until)s
WHERE session_id = %(session_id)s;

-- name: count
-- Adds what came over the session.
UPDATE stream_sessions
SET received = received + %(received)s,
    duplicates = duplicates + %(duplicates)s,
    quarantined = quarantined + %(quarantined)s
WHERE session_id = %(session_id)s;

-- name: is_live
-- Whether a session has not ended and has shown a sign of life within a minute, as in
-- coverage_gaps: a process that was killed leaves its session open.
SELECT EXISTS (
    SELECT FROM stream_sessions
    WHERE ended_at IS NULL AND last_seen_at > now() - interval '1 minute'
);
