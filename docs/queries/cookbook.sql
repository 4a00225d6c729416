-- Typical questions of a desk; docs/cookbook.md shows the results.
--
-- To run the file: positionstore db psql -- -v position=... -v wallet=... -v market=...
-- -f docs/queries/cookbook.sql

-- section: Open positions

-- name: open_interest_by_market
-- title: How much is open in each market?
-- Open interest is the notional of the open positions (`open_interest_usd`, the one definition of it);
-- the value is what their tokens are worth at the mark price. Both by each position's latest valuation:
-- from `GET /positions` or its last fact, whichever is newer (`valuation_source`), and always whole. The
-- oldest valuation shows how fresh the sums are.
SELECT market_ticker, side, count(*) AS positions,
    sum(open_interest_usd) AS open_interest_usd,
    sum(valuation_position_value_usd) AS value_usd,
    min(valuation_at) AS oldest_valuation,
    count(*) FILTER (WHERE valuation_source = 'reading') AS by_reading
FROM open_positions
GROUP BY market_ticker, side
ORDER BY open_interest_usd DESC, market_ticker, side
LIMIT 8;

-- name: exposure_by_wallet
-- title: How exposed is each wallet?
SELECT wallet_address, count(*) AS positions,
    sum(valuation_collateral_usd) AS collateral_usd,
    sum(valuation_position_value_usd) AS value_usd,
    round(sum(valuation_position_value_usd) / nullif(sum(valuation_collateral_usd), 0), 2)
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
-- At the latest valuation. Inferred, not documented by the vendor: a position is liquidated when its
-- own token's price falls, whether it holds yes or no.
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
WHERE opened_at IS NOT NULL
GROUP BY leverage_from
ORDER BY leverage_from;

-- name: health
-- title: How healthy are the open positions?
-- Inferred, not documented by the vendor: health falls from 10,000 basis points at entry to 0 at
-- liquidation.
SELECT least(valuation_health_bps / 2500, 3) * 25 AS health_percent_from,
    count(*) AS positions, sum(valuation_position_value_usd) AS value_usd
FROM open_positions
GROUP BY health_percent_from
ORDER BY health_percent_from;

-- name: stale_valuations
-- title: Which valuations are too old to trust?
-- Here, positions without a price from the six hours before midnight. For the present, use
-- `valuation_age_seconds > 6 * 3600`.
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
-- Accrued fees by the latest valuation of each position. What they cost a day is inferred: that the
-- yearly rate applies to the borrowed amount, notional less collateral, is not documented by the vendor.
SELECT provider, count(*) AS positions,
    sum(valuation_accrued_lifetime_fee_usd) AS lifetime_fee_usd,
    sum(valuation_accrued_venue_fee_usd) AS venue_fee_usd,
    sum(valuation_pending_lifetime_fee_usd) AS not_collected_usd,
    round(avg(valuation_lifetime_apr_bps) / 100, 2) AS average_apr_percent,
    round(sum((open_interest_usd - valuation_collateral_usd) * valuation_lifetime_apr_bps)
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
SELECT (opened_at AT TIME ZONE 'UTC')::date AS opened_on,
    count(*) AS ended,
    sum(result_realized_pnl_usd) AS realized_pnl_usd,
    sum(fees_total_fees_usd) AS fees_usd,
    sum(result_net_realized_pnl_usd) AS net_realized_pnl_usd,
    round(count(*) FILTER (WHERE result_net_realized_pnl_usd > 0) * 100.0 / count(*), 1)
        AS winners_percent
FROM closed_positions
WHERE opened_at >= '2026-07-01 00:00Z'
GROUP BY opened_on
ORDER BY opened_on;

-- name: winners_and_losers
-- title: Which markets won and lost most?
SELECT market_ticker, count(*) AS ended, sum(result_net_realized_pnl_usd) AS net_realized_pnl_usd,
    round(avg(result_net_realized_pnl_bps) / 100, 1) AS average_percent_of_collateral
FROM closed_positions
WHERE ended_at >= '2026-07-05 00:00Z' AND opened_at IS NOT NULL
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

-- section: Days and curves

-- name: equity_curve
-- title: What were the book and the equity at the end of each day?
-- Of the customers: the net realized PnL of all that had ended, and the unrealized PnL of what was open,
-- by its newest reading at the day's end. As it really was, by what is known today; a fourth argument
-- asks for what was known at a moment.
SELECT day, sum(positions) AS positions, sum(open_interest_usd) AS open_interest_usd,
    sum(position_value_usd) AS value_usd, sum(net_unrealized_pnl_usd) AS unrealized_usd,
    sum(net_realized_pnl_to_date_usd) AS realized_usd, sum(equity_usd) AS equity_usd,
    sum(without_reading) AS without_reading, min(oldest_reading_at) AS oldest_reading
FROM end_of_day_book('2026-07-01', '2026-07-05')
GROUP BY day
ORDER BY day;

-- name: days_of_new_york
-- title: What happened on each day in New York?
SELECT day, sum(opened) AS opened, sum(closed + settled + liquidated) AS ended,
    sum(volume_usd) AS volume_usd, sum(fees_usd) AS fees_usd,
    sum(net_realized_pnl_usd) AS net_realized_pnl_usd
FROM activity_by_day('2026-07-01', '2026-07-04', 'America/New_York')
GROUP BY day
ORDER BY day;

-- name: restated
-- title: Which days does a report of Friday evening show otherwise today?
-- The report as it was made at 17:00 on Friday, and the same days by what is known today.
SELECT t.day, r.opened AS reported_opened, t.opened, r.ended AS reported_ended, t.ended,
    r.net_usd AS reported_net_usd, t.net_usd
FROM (
    SELECT day, sum(opened) AS opened, sum(closed + settled + liquidated) AS ended,
        sum(net_realized_pnl_usd) AS net_usd
    FROM activity_by_day('2026-07-01', '2026-07-03')
    GROUP BY day
) t
LEFT JOIN (
    SELECT day, sum(opened) AS opened, sum(closed + settled + liquidated) AS ended,
        sum(net_realized_pnl_usd) AS net_usd
    FROM activity_by_day('2026-07-01', '2026-07-03', known_time => '2026-07-03 17:00Z')
    GROUP BY day
) r ON r.day = t.day
ORDER BY t.day;

-- name: fees_accrued_by_day
-- title: Which fees accrued on each day, open positions included?
-- By difference between readings: what a position accrued that no reading of the day shows falls into a
-- later day, and is counted in the last column.
SELECT day, sum(positions) AS positions, sum(origination_fee_usd) AS origination_usd,
    sum(lifetime_fee_usd) AS lifetime_usd, sum(venue_fee_usd) AS venue_usd,
    sum(liquidation_fee_usd) AS liquidation_usd, sum(total_fees_usd) AS total_usd,
    sum(without_reading) AS without_reading
FROM fee_accrual('2026-07-01', '2026-07-05')
GROUP BY day
ORDER BY day;

-- name: own_revenue
-- title: What did the partner earn?
-- Inferred: its part of the origination fees, by the rates that the positions tell.
SELECT day, sum(positions) AS positions, sum(notional_usd) AS notional_usd,
    sum(origination_fee_usd) AS origination_fee_usd, sum(partner_usd) AS partner_usd,
    sum(protocol_usd) AS protocol_usd, sum(unknown) AS unknown
FROM partner_revenue('2026-07-01', '2026-07-05')
GROUP BY day
ORDER BY day;

-- name: where_pnl_came_from
-- title: Where did the PnL of one day come from?
-- The parts add up to the net realized PnL. Leverage is that of the entry.
SELECT market_ticker, sum(positions) AS positions, sum(price_usd) AS price_usd,
    sum(leverage_usd) AS leverage_usd, sum(slippage_usd) AS slippage_usd, sum(fees_usd) AS fees_usd,
    sum(unexplained_usd) AS unexplained_usd, sum(net_realized_pnl_usd) AS net_realized_pnl_usd,
    sum(unknown) AS unknown
FROM pnl_attribution('2026-07-04', '2026-07-04')
GROUP BY market_ticker
ORDER BY abs(sum(net_realized_pnl_usd)) DESC, market_ticker
LIMIT 6;

-- name: open_interest_by_hour
-- title: How did the open interest move, hour by hour?
SELECT at, count(*) AS positions, sum(open_interest_usd_pips) * 0.0001 AS open_interest_usd,
    sum(position_value_usd_pips) * 0.0001 AS value_usd, count(DISTINCT wallet_address) AS wallets
FROM book_at(ARRAY(
    SELECT generate_series(timestamptz '2026-07-04 12:00Z', '2026-07-04 18:00Z', interval '1 hour')
))
GROUP BY at
ORDER BY at;

-- name: distance_over_time
-- title: How far was the book from liquidation, over time?
-- The part of the mark price that a token may lose until its position is liquidated, by the newest
-- reading at each moment; weighted by open interest, and of the position that was nearest.
SELECT at, count(liquidation_distance_bps) AS positions,
    round(sum(liquidation_distance_bps::numeric * open_interest_usd_pips)
        / nullif(sum(open_interest_usd_pips) FILTER (WHERE liquidation_distance_bps IS NOT NULL), 0)
        / 100, 1) AS average_percent,
    round(min(liquidation_distance_bps) / 100.0, 1) AS nearest_percent,
    count(*) FILTER (WHERE liquidation_distance_bps < 500) AS within_5_percent,
    min(reading_at) AS oldest_reading
FROM book_at(ARRAY(
    SELECT generate_series(timestamptz '2026-07-03 06:00Z', '2026-07-05 18:00Z', interval '12 hours')
))
GROUP BY at
ORDER BY at;

-- name: survival
-- title: How long do positions stay open, by the day they opened?
-- Those that are open still are censored: younger than the age that is asked for. The estimate of Kaplan
-- and Meier takes them into account.
SELECT cohort, age_seconds / 3600 AS age_hours, positions, ended, censored, at_risk, survival
FROM cohort_survival('2026-07-04', '2026-07-05', '{1 hour,3 hours,12 hours}',
    known_time => '2026-07-06 00:00Z')
ORDER BY cohort, age_hours;

-- section: Lifecycle

-- name: time_to_finality
-- title: How long is it from `opening` to `opened`?
-- Positions that opened on one day. From event to event, so that both times are from the clocks of
-- events: `opened_at` is what the body tells.
SELECT date_trunc('day', l.opened_at, 'UTC') AS day, count(*) AS positions,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY took.seconds) AS median_seconds,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY took.seconds) AS p95_seconds,
    max(took.seconds) AS longest_seconds
FROM positions p
JOIN position_lifecycle l ON l.position_id = p.position_id
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM l.opened_event_at - l.opening_at) AS seconds
) took
WHERE p.entry_opened_at >= '2026-07-04 00:00Z' AND p.entry_opened_at < '2026-07-05 00:00Z'
    AND l.opened_event_at IS NOT NULL AND l.opening_at IS NOT NULL
GROUP BY day
ORDER BY day;

-- name: ended_on_friday
-- title: Which positions ended on Friday, and how long had each step taken?
-- `opened_at` and `ended_at` are filtered and sorted before any fact is read.
SELECT position_id, status, opened_at, ended_at, opened_to_close_requested_seconds,
    close_requested_to_ended_seconds
FROM position_lifecycle
WHERE ended_at >= '2026-07-03 00:00Z' AND ended_at < '2026-07-04 00:00Z'
ORDER BY ended_at DESC
LIMIT 5;

-- name: latest_opened
-- title: Which positions opened last?
SELECT position_id, status, opened_at, opened_at_source, created_to_opening_seconds
FROM position_lifecycle
ORDER BY opened_at DESC NULLS LAST
LIMIT 5;

-- name: known_from
-- title: How many ends came over the stream, and how many did the reconciler find?
-- By the stream: an event announced it. Positions that ended on one day, by what their bodies tell.
SELECT ended_event_at IS NOT NULL AS by_the_stream, status, count(*) AS positions
FROM position_lifecycle
WHERE ended_at >= '2026-07-03 00:00Z' AND ended_at < '2026-07-04 00:00Z'
    AND ended_at_source = 'body'
GROUP BY by_the_stream, status
ORDER BY by_the_stream, status;

-- name: one_life
-- title: What happened to one position, and from which source do we know?
SELECT place, type, status, created_at, received_at, source, overruled, won
FROM position_timeline
WHERE position_id = :'position'
ORDER BY place;

-- name: size_changes_by_kind
-- title: What made positions smaller, day by day?
-- `reduction`: a fact shows a smaller size, and no event says by what. Notional is at cost.
-- reads: the whole log
SELECT (changed_at AT TIME ZONE 'UTC')::date AS day, kind, count(*) AS changes,
    count(DISTINCT position_id) AS positions,
    sum(before_notional_usd - after_notional_usd) AS notional_usd
FROM position_size_changes
WHERE kind <> 'fill'
GROUP BY 1, 2
ORDER BY 1, 2;

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
    percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM received_at - created_at))
        AS median_delay_seconds,
    max(extract(epoch FROM received_at - created_at)) AS longest_seconds
FROM events
WHERE received_at >= '2026-07-03 00:00Z' AND received_at < '2026-07-04 00:00Z'
    AND received_at - created_at > interval '5 minutes' AND supersedes_before IS NULL
GROUP BY source, type
ORDER BY events DESC, source, type
LIMIT 8;

-- name: delay_by_hour
-- title: How long do events take to arrive?
SELECT date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS events,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY delay_seconds) AS median_seconds,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY delay_seconds) AS p99_seconds
FROM events, LATERAL (SELECT extract(epoch FROM received_at - created_at) AS delay_seconds) d
WHERE received_at >= '2026-07-04 12:00Z' AND received_at < '2026-07-04 18:00Z'
    AND source IN ('partner', 'customer')
GROUP BY hour
ORDER BY hour;

-- name: friday_belief
-- title: What did we believe at 17:00 on Friday, and what was true?
-- Believed: what the facts known at 17:00 said. Completed: what the facts created by 17:00 say, with
-- those that arrived later. True: what the moments in the bodies say, whenever they were told: a
-- position that closed at 16:50 was closed at 17:00, though only the run at 17:25 found out.
-- `facts_as_of` is `positions_as_of` without whole rows.
SELECT s.status,
    count(*) FILTER (WHERE s.question = 'believed') AS believed,
    count(*) FILTER (WHERE s.question = 'completed') AS completed,
    count(*) FILTER (WHERE s.question = 'true') AS true
FROM (
    SELECT 'believed' AS question, status
    FROM facts_as_of('2026-07-03 17:00Z', '2026-07-03 17:00Z')
    UNION ALL
    SELECT 'completed', status FROM facts_as_of('2026-07-03 17:00Z')
    UNION ALL
    SELECT 'true', status FROM positions_valid_at('2026-07-03 17:00Z')
) s
GROUP BY s.status
ORDER BY s.status;

-- name: friday_book
-- title: What did the whole book look like at 17:00 on Friday?
-- By the facts created by then, whole rows: only what has changed since is folded.
SELECT status, count(*) AS positions, sum(entry_notional_usd_pips) * 0.0001 AS entry_notional_usd,
    sum(current_net_unrealized_pnl_usd_pips) * 0.0001 AS net_unrealized_pnl_usd
FROM positions_as_of('2026-07-03 17:00Z')
GROUP BY status
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
-- As it really was, by what is known today; `status_by_facts` is what the facts of then said.
SELECT market_ticker, side, status, entry_notional_usd_pips * 0.0001 AS entry_notional_usd,
    opened_at, status_by_facts
FROM positions_valid_at('2026-07-03 17:00Z', of_wallet => :'wallet')
WHERE phase = 'live'
ORDER BY opened_at;

-- section: Data quality

-- name: last_event
-- title: When did the last event arrive?
-- Events of the stream only; imports and snapshots are no proof of life.
SELECT source, type, created_at, received_at,
    extract(epoch FROM received_at - created_at) AS delay_seconds
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
SELECT g.started_at, g.ended_at, extract(epoch FROM g.ended_at - g.started_at) AS seconds,
    g.repaired_at, g.recovered_at,
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
