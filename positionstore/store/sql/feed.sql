-- Reading the log as a feed.

-- name: listen
-- Asks to be notified when the log has grown.
LISTEN positionstore;

-- name: page_after
-- The facts that follow a seq.
SELECT
    seq, event_id, position_id, type, status, created_at, received_at, source,
    supersedes_before, retracts, envelope::text AS envelope
FROM events_after(%(seq)s, %(limit)s);

-- name: before_the_newest
-- The seq in front of the newest facts; none where the log has no more than those.
SELECT seq FROM events ORDER BY seq DESC OFFSET %(number)s LIMIT 1;
