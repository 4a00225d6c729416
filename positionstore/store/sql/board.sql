-- What the status page shows besides the status. Each statement is read by itself, under a limit of time.

-- name: rate
-- Events of the stream by the minute in which they were received, over the last hour.
SELECT date_trunc('minute', received_at) AS minute, count(*) AS events
FROM events
WHERE received_at >= date_trunc('minute', now()) - interval '59 minutes'
  AND source IN ('partner', 'customer')
GROUP BY 1
ORDER BY 1;

-- name: gaps
-- The coverage gaps of the last 30 days, the newest first.
SELECT started_at, ended_at, repaired_at, repaired_by, recovered_at
FROM coverage_gaps
WHERE coalesce(ended_at, now()) > now() - interval '30 days'
ORDER BY started_at DESC
LIMIT 1000;

-- name: runs
-- The last reconciliations, the newest first.
SELECT
    run_id, trigger, scope, state, started_at, finished_at, seen, missing, stale, divergent,
    absent_upstream, repaired, unresolved, requests, retries, error
FROM reconciliation_runs
ORDER BY run_id DESC
LIMIT 12;

-- name: quarantine
-- What waits in quarantine, by reason, with the newest of each.
SELECT
    reason, count(*) AS inputs, min(received_at) AS oldest_at, max(received_at) AS newest_at,
    max(quarantine_id) AS newest_id
FROM quarantine
WHERE released_at IS NULL
GROUP BY reason
ORDER BY count(*) DESC, reason;

-- name: quarantined
-- One input, with the beginning of its bytes.
SELECT
    quarantine_id, reason, detail, source, received_at, released_at, length(raw) AS length,
    substring(raw FROM 1 FOR 20000) AS raw
FROM quarantine
WHERE quarantine_id = %(quarantine_id)s;

-- name: position
-- One position.
SELECT * FROM positions WHERE position_id = %(position_id)s;

-- name: valuation
-- Its latest valuation.
SELECT * FROM valuations WHERE position_id = %(position_id)s;

-- name: timeline
-- Its facts, the latest in the order of facts first.
SELECT
    t.place, t.seq, t.event_id, t.type, t.status, t.phase, t.created_at, t.received_at, t.source,
    t.out_of_order, t.overruled, t.won, t.changed, t.retracted_by, t.archived,
    -- The one that changed is compared with: the one before it of those that count, or do not.
    lag(t.event_id) OVER (PARTITION BY t.retracted_by IS NULL ORDER BY t.place) AS previous
FROM position_timeline t
WHERE t.position_id = %(position_id)s
ORDER BY t.place DESC
LIMIT 200;

-- name: changes
-- The values of the fields in which a fact differs from the one before it, each up to a length.
SELECT
    x.event_id,
    field.path,
    left(x.before #>> string_to_array(field.path, '.'), 200) AS before,
    left(x.after #>> string_to_array(field.path, '.'), 200) AS after
FROM unnest(%(event_ids)s::text[], %(previous)s::text[]) AS pair (event_id, previous)
CROSS JOIN LATERAL (
    SELECT
        a.event_id,
        jsonb_from_wire(b.envelope) -> 'data' AS before,
        jsonb_from_wire(a.envelope) -> 'data' AS after
    FROM events a
    JOIN events b ON b.position_id = a.position_id AND b.event_id = pair.previous
    WHERE a.position_id = %(position_id)s AND a.event_id = pair.event_id
    {once} -- each is read as jsonb once
) x
CROSS JOIN LATERAL unnest(changed_fields(x.before, x.after)) WITH ORDINALITY AS field (path, place)
ORDER BY x.event_id, field.place;

-- name: envelopes
-- The envelopes of some of its facts, each up to a length.
SELECT event_id, left(envelope::text, 20000) AS envelope
FROM events
WHERE position_id = %(position_id)s AND event_id = ANY (%(event_ids)s);

-- name: history
-- What the runs found of it, the newest first.
SELECT run_id, kind, field, store_value, rest_value, resolution, noticed_at
FROM discrepancies
WHERE position_id = %(position_id)s
ORDER BY run_id DESC, field
LIMIT 100;

-- name: search
-- Positions whose id, wallet or market is a text; a 0x address in any case.
SELECT
    position_id, status, phase, wallet_address, market_ticker, side, last_event_at,
    coalesce(current_position_value_usd_pips, entry_notional_usd_pips) AS value_usd_pips
FROM (
    (SELECT * FROM positions WHERE position_id = %(text)s)
    UNION ALL
    (SELECT * FROM positions WHERE wallet_address = address_from_wire(%(text)s) LIMIT 100)
    UNION ALL
    (
        SELECT * FROM positions
        WHERE market_ticker = %(text)s AND position_id <> %(text)s
        LIMIT 100
    )
) found
ORDER BY last_event_at DESC NULLS LAST, position_id
LIMIT 100;
