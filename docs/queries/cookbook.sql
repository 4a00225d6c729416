-- Typical questions of a desk; docs/cookbook.md shows the results.
--
-- To run the file: positionstore db psql -- -v position=... -v wallet=... -v market=...
-- -f docs/queries/cookbook.sql

-- section: Open positions

-- name: open_interest_by_market
-- title: How much is open in each market?
-- Each position at its latest valuation: from `GET /positions` or its last event, whichever is newer.
-- The oldest valuation shows how fresh the sum is.
SELECT market_ticker, side, count(*) AS positions,
    sum(valuation_position_value_usd) AS value_usd,
    sum(entry_notional_usd) AS entry_notional_usd,
    min(valuation_at) AS oldest_valuation
FROM open_positions
GROUP BY market_ticker, side
ORDER BY value_usd DESC, market_ticker, side
LIMIT 8;

-- name: exposure_by_wallet
-- title: How exposed is each wallet?
SELECT wallet_address, count(*) AS positions,
    sum(current_collateral_usd) AS collateral_usd,
    sum(valuation_position_value_usd) AS value_usd,
    round(sum(valuation_position_value_usd) / nullif(sum(current_collateral_usd), 0), 2)
        AS leverage,
    sum(valuation_net_unrealized_pnl_usd) AS net_unrealized_pnl_usd
FROM open_positions
GROUP BY wallet_address
ORDER BY value_usd DESC
LIMIT 10;

-- name: one_wallet
-- title: What does one customer hold, and how did the other positions end?
-- `0x` addresses are in lower case.
SELECT phase, status, count(*) AS positions,
    sum(entry_notional_usd_pips) * 0.0001 AS entry_notional_usd,
    sum(result_net_realized_pnl_usd_pips) * 0.0001 AS net_realized_pnl_usd
FROM positions
WHERE wallet_address = :'wallet'
GROUP BY phase, status
ORDER BY phase, status;

-- name: one_market
-- title: Which way does one market lean?
SELECT side, count(*) AS positions, sum(valuation_position_value_usd) AS value_usd,
    round(
        sum(valuation_position_value_usd) * 100
        / nullif(sum(sum(valuation_position_value_usd)) OVER (), 0), 1
    ) AS percent
FROM open_positions
WHERE market_ticker = :'market'
GROUP BY side
ORDER BY side;

-- name: concentration
-- title: How concentrated are the open positions?
-- The share of the largest wallet and of the three largest by value, and the Herfindahl index (1 is a
-- single wallet).
WITH by_wallet AS (
    SELECT wallet_address, sum(valuation_position_value_usd) AS value_usd
    FROM open_positions
    GROUP BY wallet_address
), shares AS (
    SELECT value_usd / nullif(sum(value_usd) OVER (), 0) AS share,
        row_number() OVER (ORDER BY value_usd DESC NULLS LAST, wallet_address) AS place
    FROM by_wallet
)
SELECT count(*) AS wallets,
    round(max(share) * 100, 1) AS largest_percent,
    round(sum(share) FILTER (WHERE place <= 3) * 100, 1) AS three_largest_percent,
    round(sum(share * share), 3) AS herfindahl
FROM shares;

-- section: Risk

-- name: near_liquidation
-- title: Which positions are within 5 % of their liquidation price?
-- At the latest valuation. A position is liquidated when its token's price falls, on either side.
SELECT position_id, market_ticker, side, valuation_mark_price_usd AS mark_usd,
    valuation_liquidation_price_usd AS liquidation_usd,
    round((1 - valuation_liquidation_price_usd / nullif(valuation_mark_price_usd, 0)) * 100, 2)
        AS percent_away,
    valuation_at
FROM open_positions
WHERE valuation_liquidation_price_usd > 0
    AND valuation_liquidation_price_usd >= valuation_mark_price_usd * 0.95
ORDER BY percent_away, position_id
LIMIT 10;

-- name: liquidation_rate_by_leverage
-- title: How often is a position liquidated, by its leverage?
-- Positions that opened and have ended.
SELECT floor(entry_leverage) AS leverage_from, count(*) AS ended,
    count(*) FILTER (WHERE status = 'liquidated') AS liquidated,
    round(count(*) FILTER (WHERE status = 'liquidated') * 100.0 / count(*), 1) AS percent,
    sum(result_collected_liquidation_fee_usd) AS liquidation_fees_usd
FROM closed_positions
WHERE status <> 'cancelled'
GROUP BY leverage_from
ORDER BY leverage_from;

-- name: health
-- title: How healthy are the open positions?
-- Health falls from 10,000 basis points at entry to 0 at liquidation.
SELECT least(valuation_health_bps / 2500, 3) * 25 AS health_percent_from,
    count(*) AS positions, sum(valuation_position_value_usd) AS value_usd
FROM open_positions
GROUP BY health_percent_from
ORDER BY health_percent_from;

-- name: stale_valuations
-- title: Which valuations are too old to trust?
-- Here, positions without a price from the six hours before midnight. For the present, use
-- `valuation_age > interval '6 hours'`.
SELECT position_id, market_ticker, valuation_at, valuation_position_value_usd
FROM open_positions
WHERE valuation_at < timestamptz '2026-07-06 00:00Z' - interval '6 hours'
ORDER BY valuation_at, position_id
LIMIT 5;

-- section: Fees and results

-- name: fees_by_day
-- title: What was earned in fees, day by day?
-- Positions that ended on each day, with all fees they paid.
SELECT day, sum(closed + settled + liquidated) AS ended, sum(volume_usd) AS volume_opened_usd,
    sum(fees_usd) AS fees_usd
FROM daily_activity
WHERE day BETWEEN '2026-07-01' AND '2026-07-05'
GROUP BY day
ORDER BY day;

-- name: accrued_fees
-- title: Which fees have the open positions accrued, and what do they cost a day?
-- Accrued fees as of the last fact of each position. The yearly rate applies to the borrowed amount:
-- notional less collateral.
SELECT provider, count(*) AS positions,
    sum(fees_accrued_lifetime_fee_usd) AS lifetime_fee_usd,
    sum(fees_accrued_venue_fee_usd) AS venue_fee_usd,
    sum(fees_pending_lifetime_fee_usd) AS not_collected_usd,
    round(avg(fees_lifetime_apr_bps) / 100, 2) AS average_apr_percent,
    round(sum((current_notional_usd - current_collateral_usd) * fees_lifetime_apr_bps)
        / 10000 / 365, 4) AS costs_a_day_usd
FROM open_positions
GROUP BY provider
ORDER BY provider;

-- name: slippage
-- title: What does slippage cost, by size?
-- In basis points of the entry price, and in dollars of the notional.
SELECT least(floor(entry_notional_usd / 250) * 250, 1000) AS notional_from_usd,
    count(*) AS positions,
    round(avg(entry_effective_slippage_bps), 1) AS average_bps,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY entry_effective_slippage_bps) AS p95_bps,
    round(sum(entry_notional_usd * entry_effective_slippage_bps) / 10000, 2) AS cost_usd
FROM closed_positions
WHERE entry_effective_slippage_bps IS NOT NULL
GROUP BY notional_from_usd
ORDER BY notional_from_usd;

-- name: pnl_by_cohort
-- title: How did the positions of each day perform?
SELECT (entry_opened_at AT TIME ZONE 'UTC')::date AS opened_on,
    count(*) AS ended,
    sum(result_realized_pnl_usd) AS realized_pnl_usd,
    sum(fees_total_fees_usd) AS fees_usd,
    sum(result_net_realized_pnl_usd) AS net_realized_pnl_usd,
    round(count(*) FILTER (WHERE result_net_realized_pnl_usd > 0) * 100.0 / count(*), 1)
        AS winners_percent
FROM closed_positions
WHERE entry_opened_at >= '2026-07-01 00:00Z' AND status <> 'cancelled'
GROUP BY opened_on
ORDER BY opened_on;

-- name: winners_and_losers
-- title: Which markets won and lost most?
SELECT market_ticker, count(*) AS ended, sum(result_net_realized_pnl_usd) AS net_realized_pnl_usd,
    round(avg(result_net_realized_pnl_bps) / 100, 1) AS average_percent_of_collateral
FROM closed_positions
WHERE result_closed_at >= '2026-07-05 00:00Z' AND status <> 'cancelled'
GROUP BY market_ticker
ORDER BY net_realized_pnl_usd DESC, market_ticker
LIMIT 5;

-- name: failed_openings
-- title: Why do openings fail?
SELECT failure_reason, count(*) AS positions, sum(entry_collateral_usd) AS refunded_usd
FROM closed_positions
WHERE status = 'cancelled' AND failure_reason IS NOT NULL
GROUP BY failure_reason
ORDER BY positions DESC, failure_reason;

-- section: Lifecycle

-- name: time_to_finality
-- title: How long is it from `opening` to `opened`?
-- Positions that opened on one day. Only times known from events count, so that both are from the same
-- clock.
SELECT date_trunc('day', l.opened_at, 'UTC') AS day, count(*) AS positions,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY l.opening_to_opened) AS median,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY l.opening_to_opened) AS p95,
    max(l.opening_to_opened) AS longest
FROM positions p
JOIN position_lifecycle l ON l.position_id = p.position_id
WHERE p.entry_opened_at >= '2026-07-04 00:00Z' AND p.entry_opened_at < '2026-07-05 00:00Z'
    AND l.opening_from = 'event' AND l.opened_from = 'event'
GROUP BY day
ORDER BY day;

-- name: known_from
-- title: How many ends came over the stream, and how many did the reconciler find?
-- event: from an event; body: from a time in a position object that a reconciliation read; snapshot:
-- it had ended by then. Positions that ended on one day.
SELECT l.ended_from, l.status, count(*) AS positions
FROM positions p
JOIN position_lifecycle l ON l.position_id = p.position_id
WHERE p.result_closed_at >= '2026-07-03 00:00Z' AND p.result_closed_at < '2026-07-04 00:00Z'
GROUP BY l.ended_from, l.status
ORDER BY l.ended_from, l.status;

-- name: one_life
-- title: What happened to one position, and from which source do we know?
SELECT place, type, status, created_at, received_at, source, overruled, won
FROM position_timeline
WHERE position_id = :'position'
ORDER BY place;

-- name: one_valuation_curve
-- title: What was one position worth, over time?
-- The valuations of all runs, recorded while `POSITIONSTORE_VALUATION_HISTORY` is on.
SELECT as_of, mark_price_usd_pips * 0.0001 AS mark_usd,
    position_value_usd_pips * 0.0001 AS value_usd,
    net_unrealized_pnl_usd_pips * 0.0001 AS net_unrealized_pnl_usd
FROM valuation_history
WHERE position_id = :'position'
ORDER BY as_of;

-- name: awaiting_settlement
-- title: Which positions await settlement?
SELECT market_ticker, timing_settlement_state, count(*) AS positions,
    sum(entry_notional_usd) AS entry_notional_usd, min(last_event_at) AS since
FROM open_positions
WHERE timing_settlement_state <> 'none'
GROUP BY market_ticker, timing_settlement_state
ORDER BY since;

-- section: What we knew, and when

-- name: late_events
-- title: Which events came late?
-- Received on one day, more than five minutes after their creation, by source. Imports are expected to
-- be late. Snapshots are left out.
SELECT source, type, count(*) AS events,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY received_at - created_at) AS median_delay,
    max(received_at - created_at) AS longest
FROM events
WHERE received_at >= '2026-07-03 00:00Z' AND received_at < '2026-07-04 00:00Z'
    AND received_at - created_at > interval '5 minutes' AND supersedes_before IS NULL
GROUP BY source, type
ORDER BY events DESC, source, type
LIMIT 8;

-- name: delay_by_hour
-- title: How long do events take to arrive?
SELECT date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS events,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY received_at - created_at) AS median,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY received_at - created_at) AS p99
FROM events
WHERE received_at >= '2026-07-04 12:00Z' AND received_at < '2026-07-04 18:00Z'
    AND source IN ('partner', 'customer')
GROUP BY hour
ORDER BY hour;

-- name: friday_belief
-- title: What did we believe at 17:00 on Friday, and what was true?
-- The positions twice: as known then, and as known today. `facts_as_of` is enough for counting; use
-- `positions_as_of` for whole rows.
-- reads: the whole log
SELECT coalesce(b.status, k.status) AS status,
    coalesce(b.positions, 0) AS believed, coalesce(k.positions, 0) AS known_today
FROM (
    SELECT status, count(*) AS positions
    FROM facts_as_of('2026-07-03 17:00Z', '2026-07-03 17:00Z')
    GROUP BY status
) b
FULL JOIN (
    SELECT status, count(*) AS positions
    FROM facts_as_of('2026-07-03 17:00Z')
    GROUP BY status
) k ON k.status = b.status
ORDER BY status;

-- name: friday_wrong
-- title: Why was it wrong?
-- late: an event created by then was received later. snapshot: the reconciler found a change that no
-- event had reported. retraction: an operator retracted a fact, or undid a retraction.
SELECT cause, status_before, status_after, count(*) AS positions,
    min(received_at) AS first_known_at,
    (array_agg(position_id ORDER BY received_at, position_id))[1] AS for_example
FROM book_changes('2026-07-03 17:00Z', '2026-07-04 12:00Z')
GROUP BY cause, status_before, status_after
ORDER BY positions DESC, cause, status_before, status_after
LIMIT 10;

-- name: one_wallet_as_of
-- title: What did one customer hold at 17:00 on Friday?
SELECT market_ticker, side, status, current_notional_usd_pips * 0.0001 AS notional_usd,
    last_event_at
FROM positions_as_of('2026-07-03 17:00Z', of_wallet => :'wallet')
WHERE phase = 'live'
ORDER BY last_event_at;

-- section: Data quality

-- name: last_event
-- title: When did the last event arrive?
-- Events of the stream only; imports and snapshots are no proof of life.
SELECT source, type, created_at, received_at, received_at - created_at AS delay
FROM events
WHERE source IN ('partner', 'customer')
ORDER BY seq DESC
LIMIT 1;

-- name: drift_by_night
-- title: How much did the store drift, night by night?
SELECT run_id, started_at, state, seen, missing, stale, divergent, absent_upstream,
    repaired, unresolved, round((missing + stale + divergent) * 100.0 / nullif(seen, 0), 2)
        AS drift_percent
FROM reconciliation_runs
WHERE trigger = 'nightly'
ORDER BY started_at;

-- name: what_drifted
-- title: Which fields differed?
SELECT d.kind, d.field, count(*) AS times, count(DISTINCT d.position_id) AS positions,
    count(*) FILTER (WHERE d.resolution = 'repaired') AS repaired
FROM discrepancies d
JOIN reconciliation_runs r ON r.run_id = d.run_id
WHERE r.trigger = 'nightly'
GROUP BY d.kind, d.field
ORDER BY times DESC, d.kind, d.field
LIMIT 8;

-- name: what_was_retracted
-- title: Which facts were retracted, why, and do the retractions stand?
SELECT r.received_at, e.type, e.created_at, r.reason, r.stands
FROM retractions r
JOIN events e ON e.position_id = r.position_id AND e.event_id = r.retracts
ORDER BY r.received_at;

-- name: gaps_and_repairs
-- title: When was the stream down, and what was repaired afterwards?
-- A gap is repaired by the first complete run that began after it and reached back far enough. A gap
-- with `recovered_at` needs no repair: the gateway has replayed its events.
SELECT g.started_at, g.ended_at, g.ended_at - g.started_at AS lasted, g.repaired_at, g.recovered_at,
    r.trigger, r.missing, r.stale, r.repaired
FROM coverage_gaps g
LEFT JOIN reconciliation_runs r ON r.run_id = g.repaired_by
ORDER BY g.started_at;

-- name: unverified
-- title: Which positions has no run verified since they changed?
-- A run verifies a row when it equals `GET /positions` after the row's last fact.
SELECT status, count(*) AS positions,
    count(*) FILTER (WHERE verified_at IS NULL) AS never,
    min(updated_at) AS oldest
FROM positions
WHERE phase <> 'terminal' AND (verified_at IS NULL OR verified_at < updated_at)
GROUP BY status
ORDER BY positions DESC, status;

-- name: unknown_words
-- title: Which statuses are unknown?
-- An unknown status counts as live. Add a row to `position_statuses` and run `positionstore rebuild`.
SELECT p.status, count(*) AS positions, min(p.last_event_at) AS first_seen,
    min(p.position_id) AS for_example
FROM positions p
LEFT JOIN position_statuses s ON s.status = p.status
WHERE s.status IS NULL
GROUP BY p.status
ORDER BY p.status;

-- name: misfits
-- title: Which fields have invalid values?
-- Their columns are NULL; `data` has the original values.
SELECT field, count(*) AS positions, min(position_id) AS for_example
FROM positions, unnest(misfit_fields) field
WHERE misfit_fields <> '{}'
GROUP BY field
ORDER BY positions DESC, field;

-- name: quarantine_by_reason
-- title: Why did inputs go to quarantine?
SELECT reason, count(*) AS inputs, count(*) FILTER (WHERE released_at IS NULL) AS waiting,
    min(received_at) AS first, max(received_at) AS last
FROM quarantine
GROUP BY reason
ORDER BY inputs DESC, reason;
