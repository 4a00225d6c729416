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
    coalesce(sum(a.volume), 0)::numeric(38,0) AS volume_usd_pips,
    usd_from_pips(coalesce(sum(a.volume), 0))::numeric(24,4) AS volume_usd,
    coalesce(sum(a.fees), 0)::numeric(38,0) AS fees_usd_pips,
    usd_from_pips(coalesce(sum(a.fees), 0))::numeric(24,4) AS fees_usd,
    coalesce(sum(a.realized_pnl), 0)::numeric(38,0) AS realized_pnl_usd_pips,
    usd_from_pips(coalesce(sum(a.realized_pnl), 0))::numeric(24,4) AS realized_pnl_usd,
    coalesce(sum(a.net_realized_pnl), 0)::numeric(38,0) AS net_realized_pnl_usd_pips,
    usd_from_pips(coalesce(sum(a.net_realized_pnl), 0))::numeric(24,4) AS net_realized_pnl_usd
FROM (
    SELECT
        (h.at AT TIME ZONE 'UTC')::date AS day,
        m.market_ticker,
        m.side,
        h.happened,
        h.volume,
        h.fees,
        h.realized_pnl,
        h.net_realized_pnl
    FROM (
        SELECT
            p.market_ticker,
            p.side,
            p.status,
            p.entry_notional_usd_pips,
            p.fees_total_fees_usd_pips,
            p.result_realized_pnl_usd_pips,
            p.result_net_realized_pnl_usd_pips,
            moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS opened_at,
            moment_at(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at)) AS ended_at
        FROM positions p
        OFFSET 0 -- so that each moment is looked up once
    ) m
    CROSS JOIN LATERAL (
        VALUES
            (
                m.opened_at, 'opened', m.entry_notional_usd_pips,
                NULL::bigint, NULL::bigint, NULL::bigint
            ),
            (
                m.ended_at, m.status, NULL, m.fees_total_fees_usd_pips,
                m.result_realized_pnl_usd_pips, m.result_net_realized_pnl_usd_pips
            )
    ) h (at, happened, volume, fees, realized_pnl, net_realized_pnl)
    WHERE h.at IS NOT NULL
) a
GROUP BY a.day, a.market_ticker, a.side;
COMMENT ON VIEW daily_activity IS
    'What happened on each day (UTC), by market and side: positions opened on it, and positions that ended on it with their final fees and results. By opened_moment and ended_moment, as everywhere. activity_by_day is the same for days of any time zone, and as known at an earlier time.';
COMMENT ON COLUMN daily_activity.day IS 'The day, in UTC.';
COMMENT ON COLUMN daily_activity.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN daily_activity.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN daily_activity.opened IS 'Positions that opened on it, by opened_at; those that were reverted later, too.';
COMMENT ON COLUMN daily_activity.closed IS 'Positions that were closed on it, by ended_at.';
COMMENT ON COLUMN daily_activity.settled IS 'Positions that were settled on it.';
COMMENT ON COLUMN daily_activity.liquidated IS 'Positions that were liquidated on it.';
COMMENT ON COLUMN daily_activity.cancelled IS 'Positions that were cancelled or reverted on it.';
COMMENT ON COLUMN daily_activity.volume_usd_pips IS 'Notional at entry of the positions that opened on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.volume_usd IS 'Notional at entry of the positions that opened on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.fees_usd_pips IS 'All fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.fees_usd IS 'All fees of the positions that ended on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.realized_pnl_usd_pips IS 'Realized PnL before fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.realized_pnl_usd IS 'Realized PnL before fees of the positions that ended on it. In USD, exact.';
COMMENT ON COLUMN daily_activity.net_realized_pnl_usd_pips IS 'Realized PnL after fees of the positions that ended on it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN daily_activity.net_realized_pnl_usd IS 'Realized PnL after fees of the positions that ended on it. In USD, exact.';
