-- An example of each view and function; docs/sql.md shows the results.

-- name: open_positions
SELECT position_id, side, entry_notional_usd, entry_leverage,
    valuation_mark_price_usd, valuation_unrealized_pnl_usd, valuation_at
FROM open_positions
WHERE market_ticker = :'market'
ORDER BY position_id;

-- name: closed_positions
SELECT position_id, status, held_for, fees_total_fees_usd,
    result_net_realized_pnl_usd
FROM closed_positions
WHERE wallet_address = :'wallet'
ORDER BY result_closed_at DESC
LIMIT 5;

-- name: position_timeline
SELECT place, type, created_at, delay, out_of_order, overruled, won,
    -- without live fields
    ARRAY(SELECT f FROM unnest(changed) f WHERE f !~ '^(current|risk|fees|timing)|_usd$') AS changed
FROM position_timeline
WHERE position_id = :'position'
ORDER BY place;

-- name: position_lifecycle
SELECT position_id, opening_to_opened, opened_at, opened_from,
    close_requested_at, ended_at, ended_from
FROM position_lifecycle
WHERE wallet_address = :'wallet'
ORDER BY opened_at DESC NULLS LAST
LIMIT 5;

-- name: daily_activity
SELECT day, side, sum(opened) AS opened, sum(closed) AS closed,
    sum(liquidated) AS liquidated, sum(volume_usd) AS volume_usd,
    sum(fees_usd) AS fees_usd, sum(net_realized_pnl_usd) AS net_realized_pnl_usd
FROM daily_activity
WHERE day BETWEEN '2026-07-01' AND '2026-07-03'
GROUP BY day, side
ORDER BY day, side;

-- name: positions_as_of
SELECT t.known_at, p.status, p.last_event_type, p.last_event_at
FROM (VALUES (timestamptz '2026-07-03 17:00Z'), ('2026-07-06 00:00Z')) t (known_at)
CROSS JOIN
    positions_as_of('2026-07-03 17:00Z', t.known_at, of_position => :'position') p
ORDER BY t.known_at;

-- name: facts_as_of
-- reads: the whole log
SELECT status, phase, count(*) AS positions, max(created_at) AS latest
FROM facts_as_of('2026-07-03 17:00Z')
GROUP BY status, phase
ORDER BY status;

-- name: book_changes
SELECT position_id, cause, valid_at, status_before, status_after, received_at
FROM book_changes('2026-07-03 17:00Z', '2026-07-04 00:00Z')
ORDER BY received_at, position_id
LIMIT 5;

-- name: events_after
SELECT seq, event_id, position_id, type, received_at
FROM events_after(6, 3);

-- name: retractions
SELECT event_id, retracts, reason, received_at, stands
FROM retractions
ORDER BY received_at;

-- name: ranked_facts
SELECT event_id, type, (rank).phase, (rank).created_at, (rank).status_precedence,
    (rank).type_precedence
FROM ranked_facts
WHERE position_id = :'position'
ORDER BY rank DESC
LIMIT 3;

-- name: ranked_positions
SELECT (rank).phase, (rank).created_at, (rank).status_precedence, (rank).event_id
FROM ranked_positions
WHERE position_id = :'position';

-- name: fact_positions
SELECT last_event_type, status, entry_notional_usd_pips, current_mark_price_usd_pips
FROM fact_positions
WHERE position_id = :'position'
ORDER BY last_event_at;

-- name: changed_fields
SELECT changed_fields('{"status": "open"}', '{"status": "closed", "result": {}}');

-- name: coverage_gaps
SELECT started_at, ended_at, repaired_at, repaired_by, recovered_at
FROM coverage_gaps
WHERE ended_at IS NOT NULL
ORDER BY started_at;
