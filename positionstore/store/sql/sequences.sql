-- Numbers that sequences give, compared with those that are in use.

-- name: one
-- The highest number in use, the last that the sequence gave (0 before the first, NULL where this role
-- may not know), and whether this role may set it. The sequence is read later than the snapshot of the
-- table, so that a number drawn meanwhile is never taken for one that is missing.
SELECT
    {name} AS "table",
    newest.id AS newest,
    CASE WHEN has_sequence_privilege(s.id, 'SELECT, USAGE')
        THEN coalesce(pg_sequence_last_value(s.id), 0) END AS last,
    has_sequence_privilege(s.id, 'UPDATE') AS may_set
FROM (SELECT max({column}) AS id FROM {table}) newest
CROSS JOIN (SELECT pg_get_serial_sequence({name}, {column_name})::regclass AS id) s
WHERE newest.id IS NOT NULL;

-- name: set
-- Lets a sequence go on after a number.
SELECT setval(pg_get_serial_sequence({name}, {column_name}), %(newest)s);

-- name: events
-- Draws numbers by rows that are rolled back; those whose number is in use are not even made.
INSERT INTO events (event_id, position_id, type, created_at, received_at, source, envelope)
SELECT gen_random_uuid()::text, '', 'drawn', now(), now(), 'import', 'null'
FROM generate_series(1, %(count)s)
ON CONFLICT DO NOTHING
RETURNING seq;

-- name: quarantine
-- The same of quarantine.
INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
SELECT sha256(gen_random_uuid()::text::bytea), 'drawn', '', 'import', now(), ''
FROM generate_series(1, %(count)s)
ON CONFLICT DO NOTHING
RETURNING quarantine_id;

-- name: stream_sessions
-- The same of stream sessions.
INSERT INTO stream_sessions (gateway, started_at, last_seen_at)
SELECT 'partner', now(), now() FROM generate_series(1, %(count)s)
ON CONFLICT DO NOTHING
RETURNING session_id;

-- name: reconciliation_runs
-- The same of reconciliations.
INSERT INTO reconciliation_runs (trigger, scope, started_at)
SELECT 'command', 'full', now() FROM generate_series(1, %(count)s)
ON CONFLICT DO NOTHING
RETURNING run_id;

-- name: backfills
-- The same of backfills.
INSERT INTO backfills (what, started_at, updated_at)
SELECT 'all', now(), now() FROM generate_series(1, %(count)s)
ON CONFLICT DO NOTHING
RETURNING backfill_id;
