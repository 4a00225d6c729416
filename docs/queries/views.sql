-- An example of each view and function; docs/sql.md shows the results.

-- name: open_positions
SELECT position_id, side, opened_at, open_interest_usd, effective_leverage,
    valuation_mark_price_usd, valuation_unrealized_pnl_usd, valuation_at, valuation_source
FROM open_positions
WHERE market_ticker = :'market'
ORDER BY position_id;

-- name: closed_positions
SELECT position_id, status, ended_at, ended_at_source, held_for_seconds, fees_total_fees_usd,
    result_net_realized_pnl_usd
FROM closed_positions
WHERE wallet_address = :'wallet'
ORDER BY ended_at DESC
LIMIT 5;

-- name: position_timeline
SELECT t.place, t.type, t.created_at, t.delay_seconds, t.out_of_order, t.overruled, t.won,
    -- what became of each field that does not move with the market
    ARRAY(
        SELECT c || ' = ' || coalesce(e.envelope -> 'data' #>> string_to_array(c, '.'), 'gone')
        FROM unnest(t.changed) c
        WHERE c ~ '^current.(position_token_units|remaining_bps)$|settlement_state$'
            OR c !~ '^(current|risk|fees|timing)|leverage|_usd$'
    ) AS changed
FROM position_timeline t
JOIN events e ON e.position_id = t.position_id AND e.event_id = t.event_id
WHERE t.position_id = :'position'
ORDER BY t.place;

-- name: position_size_changes
SELECT place, kind, changed_at, changed_token_units, after_token_units, reason, realized_pnl_usd,
    after_notional_usd, after_leverage_bps, price_usd, mark_price_usd
FROM position_size_changes
WHERE position_id = :'position'
ORDER BY place;

-- name: position_notifications
-- reads: the whole log
SELECT created_at, position_id, code, message, params
FROM position_notifications
ORDER BY seq DESC
LIMIT 5;

-- name: position_lifecycle
SELECT position_id, opened_at, opened_at_source, opened_event_at, close_requested_at,
    ended_at, ended_at_source
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

-- name: positions_valid_at
SELECT t.known_time, v.status, v.opened_at, v.ended_at, v.ended_at_source, v.status_by_facts
FROM (VALUES (timestamptz '2026-07-03 17:00Z'), ('2026-07-06 00:00Z')) t (known_time)
CROSS JOIN positions_valid_at('2026-07-03 16:00Z', t.known_time, of_position => :'position') v
ORDER BY t.known_time;

-- name: positions_known_at
SELECT k.position_id, k.status, k.opened_at, k.opened_at_source, k.ended_at, k.ended_at_source
FROM positions_known_at('2026-07-03 17:00Z', ARRAY[:'position']) k;

-- name: facts_as_of
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

-- name: opened_moment
SELECT (opened_moment(position_id, phase, entry_opened_at)).*
FROM positions
WHERE position_id = :'position';

-- name: ended_moment
SELECT (ended_moment(position_id, status, phase, result_closed_at)).*
FROM positions
WHERE position_id = :'position';

-- name: open_interest
SELECT open_interest(current_notional => 15000000, entry_notional => 20000000),
    open_interest(NULL, 20000000) AS without_reading;

-- name: local_days
SELECT day, starts_at, ends_at, round(extract(epoch FROM ends_at - starts_at) / 3600) AS hours
FROM local_days('2026-10-31', '2026-11-02', 'America/New_York');

-- name: book_at
SELECT at, position_id, open_interest_usd_pips, net_unrealized_pnl_usd_pips, reading_at,
    reading_source, liquidation_distance_bps
FROM book_at('{2026-07-03 17:00Z,2026-07-04 17:00Z}')
WHERE wallet_address = :'wallet'
ORDER BY at, position_id
LIMIT 5;

-- name: activity_by_day
SELECT day, sum(opened) AS opened, sum(closed) AS closed, sum(net_realized_pnl_usd) AS net_usd
FROM activity_by_day('2026-07-03', '2026-07-04', 'Asia/Tokyo', '2026-07-04 12:00Z')
GROUP BY day
ORDER BY day;

-- name: end_of_day_book
SELECT day, side, positions, open_interest_usd, net_unrealized_pnl_usd,
    net_realized_pnl_to_date_usd, equity_usd, without_reading
FROM end_of_day_book('2026-07-04', '2026-07-05')
WHERE market_ticker = :'market'
ORDER BY day, side;

-- name: fee_accrual
SELECT day, positions, origination_fee_usd, lifetime_fee_usd, venue_fee_usd, total_fees_usd,
    without_reading
FROM fee_accrual('2026-07-04', '2026-07-05')
WHERE market_ticker = :'market'
ORDER BY day;

-- name: partner_revenue
SELECT day, positions, origination_fee_usd, partner_usd, protocol_usd, unknown
FROM partner_revenue('2026-07-04', '2026-07-05')
WHERE market_ticker = :'market'
ORDER BY day;

-- name: pnl_attribution
SELECT day, side, positions, price_usd, leverage_usd, slippage_usd, fees_usd, unexplained_usd,
    net_realized_pnl_usd
FROM pnl_attribution('2026-07-04', '2026-07-05')
WHERE market_ticker = :'market'
ORDER BY day, side;

-- name: cohort_survival
SELECT cohort, age_seconds / 3600 AS age_hours, positions, ended, censored, at_risk, survival
FROM cohort_survival('2026-07-05', '2026-07-05', known_time => '2026-07-06 00:00Z')
ORDER BY age_hours;
