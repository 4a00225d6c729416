CREATE OR REPLACE VIEW daily_activity WITH (security_invoker = true) AS
SELECT
    a.day,
    a.market_ticker,
    a.side,
    count(*) FILTER (WHERE a.happened = 'opened') AS opened,
    count(*) FILTER (WHERE a.happened = 'closed') AS closed,
    count(*) FILTER (WHERE a.happened = 'settled') AS settled,
    count(*) FILTER (WHERE a.happened = 'liquidated') AS liquidated,
    count(*) FILTER (WHERE a.happened = 'cancelled') AS cancelled,
    coalesce(sum(a.volume), 0) AS volume_usd_pips,
    coalesce(sum(a.volume), 0) * 0.0001 AS volume_usd,
    coalesce(sum(a.fees), 0) AS fees_usd_pips,
    coalesce(sum(a.fees), 0) * 0.0001 AS fees_usd,
    coalesce(sum(a.realized_pnl), 0) AS realized_pnl_usd_pips,
    coalesce(sum(a.realized_pnl), 0) * 0.0001 AS realized_pnl_usd,
    coalesce(sum(a.net_realized_pnl), 0) AS net_realized_pnl_usd_pips,
    coalesce(sum(a.net_realized_pnl), 0) * 0.0001 AS net_realized_pnl_usd
FROM (
    SELECT
        (entry_opened_at AT TIME ZONE 'UTC')::date AS day,
        market_ticker,
        side,
        'opened' AS happened,
        entry_notional_usd_pips AS volume,
        NULL::bigint AS fees,
        NULL::bigint AS realized_pnl,
        NULL::bigint AS net_realized_pnl
    FROM positions
    WHERE entry_opened_at IS NOT NULL AND phase <> 'pending' AND status <> 'cancelled'
    UNION ALL
    SELECT
        (coalesce(result_closed_at, last_event_at) AT TIME ZONE 'UTC')::date,
        market_ticker,
        side,
        status,
        NULL,
        fees_total_fees_usd_pips,
        result_realized_pnl_usd_pips,
        result_net_realized_pnl_usd_pips
    FROM positions
    WHERE phase = 'terminal'
) a
GROUP BY a.day, a.market_ticker, a.side;
COMMENT ON VIEW daily_activity IS
    'What happened on each day, by market and side: positions opened on it, and positions that ended on it with their final fees and results.';
COMMENT ON COLUMN daily_activity.day IS 'The day, in UTC.';
COMMENT ON COLUMN daily_activity.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN daily_activity.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN daily_activity.opened IS 'Positions that opened on it, by entry_opened_at.';
COMMENT ON COLUMN daily_activity.closed IS 'Positions that were closed on it, by result_closed_at, or by their last fact where that is not said.';
COMMENT ON COLUMN daily_activity.settled IS 'Positions that were settled on it.';
COMMENT ON COLUMN daily_activity.liquidated IS 'Positions that were liquidated on it.';
COMMENT ON COLUMN daily_activity.cancelled IS 'Positions that were cancelled on it, before they opened.';
COMMENT ON COLUMN daily_activity.volume_usd_pips IS 'Notional at entry of the positions that opened on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.volume_usd IS 'Notional at entry of the positions that opened on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.fees_usd_pips IS 'All fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.fees_usd IS 'All fees of the positions that ended on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.realized_pnl_usd_pips IS 'Realized PnL before fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.realized_pnl_usd IS 'Realized PnL before fees of the positions that ended on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.net_realized_pnl_usd_pips IS 'Realized PnL after fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.net_realized_pnl_usd IS 'Realized PnL after fees of the positions that ended on it. In USD, exact.';
