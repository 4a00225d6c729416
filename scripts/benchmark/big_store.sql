-- A store of any size, made inside the server: positions of thirty days, about ten facts each.
-- Bodies are short (0.8 kB) so that ten million facts fit on a laptop; everything follows from a
-- position's number, so that the same size is always the same store.

-- name: create_generated
-- A position's number, and what follows from it.
CREATE TEMPORARY TABLE generated AS
SELECT
    n,
    'dm_pos_' || substr(md5('position' || n), 1, 24) AS position_id,
    '0x' || md5('wallet' || n * 7919 %% greatest(%(positions)s / 200, 5)) || '5ca1ab1e' AS wallet,
    'BIG-' || lpad((n * 104729 %% 500)::text, 5, '0') AS market,
    CASE WHEN n %% 3 = 0 THEN 'no' ELSE 'yes' END AS side,
    timestamptz '2026-06-06 00:00Z'
        + make_interval(secs => n * (30 * 86400.0 / %(positions)s)) AS born,
    -- From ten minutes to three days between a position's first fact and its last.
    make_interval(secs => 60 + n * 15485863::bigint %% 25000) AS step,
    (n * 32452843::bigint %% 1000)::integer AS draw,
    1 + n * 49979687::bigint %% 5 AS leverage,
    500000 + n * 67867967::bigint %% 9000000 AS collateral
FROM generate_series(1::bigint, %(positions)s) n;

-- name: index_generated
-- So that a day's positions are found at once.
CREATE INDEX ON pg_temp.generated (born);

-- name: analyze_generated
-- And the planner knows.
ANALYZE pg_temp.generated;

-- name: append_day
-- The facts received on one day, in the order of their arrival: 2 in 100 come up to half an hour late,
-- one in two thousand some hours late, and every night reads one live position in two hundred.
INSERT INTO events (
    event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope
)
SELECT
    f.event_id,
    f.position_id,
    f.type,
    f.status,
    f.created_at,
    f.received_at,
    CASE WHEN f.is_snapshot THEN 'rest' ELSE 'partner' END,
    CASE WHEN f.is_snapshot THEN f.created_at - interval '1 minute' END,
    ('{"id":"' || f.event_id || '","type":"' || f.type || '","created_at":"' || f.wire_at
        || '","data":{"id":"' || f.position_id || '","status":"' || f.status
        || '","market_ticker":"' || f.market || '","side":"' || f.side || '","wallet_address":"'
        || f.wallet || '","provider":"polymarket","effective_leverage_bps":'
        || f.leverage * 10000 || ',"entry":{"collateral_usd_pips":"' || f.collateral
        || '","leverage_bps":' || f.leverage * 10000 || ',"notional_usd_pips":"'
        || f.collateral * f.leverage || '","opened_at":' || f.opened_at
        || ',"price_usd_pips":"5000","effective_slippage_bps":' || f.draw %% 60 || '}'
        || CASE WHEN f.is_end THEN
            ',"close_reason":"' || f.status || '","fees":{"total_fees_usd_pips":"'
            || f.collateral / 100 || '"},"result":{"closed_at":"' || f.wire_at
            || '","collected_liquidation_fee_usd_pips":"0","realized_pnl_usd_pips":"'
            || f.collateral / 1000 * (f.draw - 450) || '","net_realized_pnl_usd_pips":"'
            || f.collateral / 1000 * (f.draw - 460) || '"}'
        ELSE
            ',"current":{"collateral_usd_pips":"' || f.collateral || '","mark_price_usd_pips":"'
            || 4000 + f.draw * 2 || '","notional_usd_pips":"' || f.collateral * f.leverage
            || '","position_value_usd_pips":"' || f.collateral * f.leverage * 11 / 10
            || '","unrealized_pnl_usd_pips":"' || f.collateral / 10
            || '","net_unrealized_pnl_usd_pips":"' || f.collateral / 11
            || '"},"risk":{"current_liquidation_price_usd_pips":"' || 3900 + f.draw
            || '","health_bps":' || f.draw * 10 || '},"fees":{"accrued_lifetime_fee_usd_pips":"'
            || f.draw || '","accrued_venue_fee_usd_pips":"' || f.draw / 2
            || '","lifetime_apr_bps":1500,"total_fees_usd_pips":"' || f.draw * 2
            || '"},"timing":{"settlement_state":"'
            || CASE WHEN f.draw %% 50 = 0 THEN 'settling' ELSE 'none' END || '"}'
        END || '}}')::json
FROM (
    SELECT g.*, s.*,
        CASE WHEN s.is_snapshot THEN 'snp_' ELSE 'evt_' END
            || substr(md5(g.n || '-' || s.k || CASE WHEN s.is_snapshot THEN s.created_at::text ELSE '' END), 1, 24) AS event_id,
        to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS wire_at,
        CASE WHEN s.k < 2 OR s.status = 'cancelled' THEN 'null' ELSE
            '"' || to_char((g.born + 2 * g.step) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || '"'
        END AS opened_at,
        s.k > 2 AND s.status IN ('closed', 'settled', 'liquidated') OR s.status = 'cancelled' AS is_end
    FROM pg_temp.generated g
    CROSS JOIN LATERAL (
        SELECT
            k,
            false AS is_snapshot,
            g.born + k * g.step AS created_at,
            g.born + k * g.step + CASE
                WHEN (g.n + k) %% 2000 = 7 THEN make_interval(mins => 180 + g.draw %% 600)
                WHEN (g.n + k) %% 50 = 3 THEN make_interval(secs => g.draw * 1.8)
                ELSE make_interval(secs => 0.05 + g.draw / 3000.0)
            END AS received_at,
            CASE WHEN g.draw < 50 AND k = 2 THEN 'position.cancelled' ELSE (ARRAY[
                'position.created', 'position.opening', 'position.opened',
                'position.partial_close_requested', 'position.partial_close_initiated',
                'position.partial_closed', 'position.force_unwound', 'position.force_unwound',
                'position.force_unwound', 'position.close_requested',
                CASE
                    WHEN g.draw < 170 THEN 'position.liquidated'
                    WHEN g.draw < 300 THEN 'position.settled'
                    ELSE 'position.closed'
                END
            ])[k + 1] END AS type,
            CASE WHEN g.draw < 50 AND k = 2 THEN 'cancelled' ELSE (ARRAY[
                'pending', 'pending', 'open', 'open', 'closing', 'open', 'open', 'open', 'open',
                'closing',
                CASE
                    WHEN g.draw < 170 THEN 'liquidated'
                    WHEN g.draw < 300 THEN 'settled'
                    ELSE 'closed'
                END
            ])[k + 1] END AS status
        FROM generate_series(0, CASE WHEN g.draw < 50 THEN 2 ELSE 10 END) k
        UNION ALL
        SELECT 3, true, night, night + interval '400 milliseconds', 'snapshot', 'open'
        FROM (SELECT %(day)s::timestamptz + interval '3 hours' AS night) n
        WHERE g.n %% 200 = 1 AND g.draw >= 50
            AND night > g.born + 3 * g.step AND night < g.born + 9 * g.step
    ) s
    WHERE g.born > %(day)s::timestamptz - interval '4 days'
        AND g.born < %(day)s::timestamptz + interval '1 day'
        AND s.received_at >= %(day)s::timestamptz
        AND s.received_at < %(day)s::timestamptz + interval '1 day'
    ORDER BY s.received_at, g.n
    OFFSET 0
) f;

-- name: project
-- All positions, as the fold of the whole log.
INSERT INTO positions ({columns})
SELECT {columns}
FROM (SELECT seq, supersedes_before FROM fold_facts()) w
CROSS JOIN LATERAL (SELECT * FROM fact_positions f WHERE f.seq = w.seq OFFSET 0) fact;

-- name: verify_some
-- Nine live positions in ten were confirmed by the last night.
UPDATE positions SET verified_at = '2026-07-05 03:00Z'
WHERE phase <> 'terminal' AND hashtext(position_id) % 10 <> 0;

-- name: value
-- Each live position was valued by the last run.
INSERT INTO valuations (position_id, as_of, {valued})
SELECT position_id, '2026-07-05 23:50Z', {told}
FROM positions WHERE phase <> 'terminal';

-- name: remember_values
-- And has some history.
INSERT INTO valuation_history (position_id, as_of, {valued})
SELECT v.position_id, v.as_of - h * interval '5 minutes', {valued}
FROM valuations v, generate_series(0, 9) h;

-- name: run_nights
-- A run each night.
INSERT INTO reconciliation_runs (
    trigger, scope, reach, state, started_at, finished_at, as_of, seen, stale, repaired, requests
)
SELECT 'nightly', 'full', 'partner', 'complete', day + interval '3 hours',
    day + interval '3 hours 4 minutes', day + interval '3 hours', 30000, 150, 150, 300
FROM generate_series(timestamptz '2026-06-06 00:00Z', '2026-07-05 00:00Z', interval '1 day') day;

-- name: find_differences
-- What those runs found: each snapshot.
INSERT INTO discrepancies (
    run_id, position_id, kind, field, store_value, rest_value, resolution, noticed_at
)
SELECT r.run_id, e.position_id, 'stale', 'status', 'closing', 'open', 'repaired', e.received_at
FROM events e
JOIN reconciliation_runs r ON r.started_at = e.created_at
WHERE e.supersedes_before IS NOT NULL;

-- name: connect_sessions
-- A session each day, with a minute between two.
INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at, end_reason)
SELECT 'partner', day, day + interval '1439 minutes', day + interval '1439 minutes',
    'transport close'
FROM generate_series(timestamptz '2026-06-06 00:00Z', '2026-07-05 00:00Z', interval '1 day') day;

-- name: quarantine_some
-- A few invalid inputs.
INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
SELECT sha256(n::text::bytea), 'not_json', 'It is not JSON.', 'partner',
    timestamptz '2026-07-05 00:00Z' + n * interval '1 minute', n::text::bytea
FROM generate_series(1, 1000) n;

-- name: names
-- A position that lived on the Friday, its wallet and its market.
SELECT p.position_id, p.wallet_address, p.market_ticker
FROM positions p
WHERE p.entry_opened_at BETWEEN '2026-07-03 10:00Z' AND '2026-07-03 16:00Z' AND p.last_event_at > '2026-07-03 17:00Z'
ORDER BY p.position_id
LIMIT 1;

-- name: indexes
-- The indexes of the log and of positions, with how each is made and taken away.
SELECT
    i.relname,
    CASE WHEN k.oid IS NULL THEN 'DROP INDEX ' || x.indexrelid::regclass
        ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', x.indrelid::regclass, k.conname) END,
    CASE WHEN k.oid IS NULL THEN pg_get_indexdef(x.indexrelid)
        ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', x.indrelid::regclass, k.conname,
            pg_get_constraintdef(k.oid)) END,
    x.indrelid::regclass::text,
    k.oid IS NOT NULL
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u')
WHERE x.indrelid IN ('events'::regclass, 'positions'::regclass)
ORDER BY x.indrelid::regclass::text, i.relname;
