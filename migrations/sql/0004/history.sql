-- The life of a position: each of its facts, and the moments that they tell of.

CREATE FUNCTION changed_fields(before jsonb, after jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF before IS NULL OR after IS NULL THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(before) <> 'object' OR jsonb_typeof(after) <> 'object' THEN
        RETURN CASE WHEN before = after THEN '{}' ELSE '{""}' END;
    END IF;
    RETURN ARRAY(
        SELECT concat_ws('.', top.key, inside.key)
        FROM (
            SELECT key, b.value AS was, a.value AS became
            FROM jsonb_each(before) b FULL JOIN jsonb_each(after) a USING (key)
        ) top
        LEFT JOIN LATERAL (
            -- A section that came or went is told field by field, too.
            SELECT key, b.value AS was, a.value AS became
            FROM jsonb_each(CASE WHEN jsonb_typeof(top.was) = 'object' THEN top.was ELSE '{}' END) b
            FULL JOIN jsonb_each(
                CASE WHEN jsonb_typeof(top.became) = 'object' THEN top.became ELSE '{}' END
            ) a USING (key)
            WHERE coalesce(jsonb_typeof(top.was), 'object') = 'object'
                AND coalesce(jsonb_typeof(top.became), 'object') = 'object'
        ) inside ON true
        WHERE CASE
                WHEN inside.key IS NULL THEN top.was IS DISTINCT FROM top.became
                ELSE inside.was IS DISTINCT FROM inside.became
            END
        ORDER BY concat_ws('.', top.key, inside.key) COLLATE "C"
    );
END
$$;
COMMENT ON FUNCTION changed_fields(jsonb, jsonb) IS
    'The fields in which two position objects differ, as the wire spells their paths (entry.price_usd_pips), unknown ones too; NULL where there are not two.';

-- Each window is of one position, so that a look for one position reads the facts of that one.
CREATE VIEW position_timeline AS
SELECT
    o.position_id,
    row_number() OVER in_order AS place,
    o.seq,
    o.event_id,
    o.type,
    o.status,
    o.phase,
    o.created_at,
    o.received_at,
    o.received_at - o.created_at AS delay,
    o.source,
    o.supersedes_before,
    coalesce(o.seq > min(o.seq) OVER after_it, false) AS out_of_order,
    o.overruled,
    o.won,
    changed_fields(
        jsonb_from_wire(lag(o.envelope) OVER in_order) -> 'data',
        jsonb_from_wire(o.envelope) -> 'data'
    ) AS changed
FROM (
    SELECT
        f.*,
        CASE
            WHEN f.supersedes_before IS NULL THEN f.created_at <= p.supersedes_before
            ELSE f.event_id <> first_value(f.event_id) OVER (
                PARTITION BY f.position_id
                ORDER BY f.supersedes_before IS NULL, f.created_at DESC, f.rank DESC
            )
        END IS TRUE AS overruled,
        (f.event_id = p.last_event_id) IS TRUE AS won
    FROM ranked_facts f
    LEFT JOIN positions p ON p.position_id = f.position_id
) o
WINDOW
    in_order AS (PARTITION BY o.position_id ORDER BY NOT o.overruled, o.rank),
    after_it AS (
        PARTITION BY o.position_id ORDER BY NOT o.overruled DESC, o.rank DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    );
COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts, those first that its latest snapshot overrules; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.place IS 'Its place in the order, from 1.';
COMMENT ON COLUMN position_timeline.phase IS 'The phase of the fact''s status; live where the status is not in position_statuses.';
COMMENT ON COLUMN position_timeline.delay IS 'received_at less created_at: two clocks, so a small one may be negative.';
COMMENT ON COLUMN position_timeline.out_of_order IS 'Whether the log had a fact already that stands after this one.';
COMMENT ON COLUMN position_timeline.overruled IS 'Whether the position''s latest snapshot makes it count no longer.';
COMMENT ON COLUMN position_timeline.won IS 'Whether it is the fact that positions shows.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first.';

CREATE VIEW position_lifecycle AS
SELECT
    p.position_id,
    p.status,
    p.phase,
    p.market_ticker,
    p.side,
    p.wallet_address,
    k.created_at,
    k.created_from,
    k.opening_at,
    k.opening_from,
    k.opened_at,
    k.opened_from,
    k.close_requested_at,
    k.close_requested_from,
    k.ended_at,
    k.ended_from,
    k.opening_at - k.created_at AS created_to_opening,
    k.opened_at - k.opening_at AS opening_to_opened,
    k.close_requested_at - k.opened_at AS opened_to_close_requested,
    k.ended_at - k.close_requested_at AS close_requested_to_ended,
    k.ended_at - k.opened_at AS opened_to_ended
FROM positions p
CROSS JOIN LATERAL (
    SELECT
        min(f.created_at) FILTER (WHERE f.type = 'position.created') AS created_event,
        min(f.created_at) FILTER (WHERE f.type = 'position.opening') AS opening_event,
        min(f.created_at) FILTER (WHERE f.type = 'position.opened') AS opened_event,
        max(f.created_at) FILTER (WHERE f.type = 'position.close_requested') AS close_event,
        -- The end that stands, not one that a snapshot undid; one that it confirmed will do.
        coalesce(
            min(f.created_at) FILTER (
                WHERE f.supersedes_before IS NULL AND f.status = p.status
                    AND f.created_at > coalesce(p.supersedes_before, '-infinity')
            ),
            max(f.created_at) FILTER (WHERE f.supersedes_before IS NULL AND f.status = p.status)
        ) AS end_event,
        min(f.created_at) FILTER (WHERE f.supersedes_before IS NOT NULL) AS created_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.phase <> 'pending' AND f.status <> 'cancelled'
        ) AS opened_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.status = 'closing'
        ) AS close_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.status = p.status
        ) AS end_snapshot
    FROM ranked_facts f
    WHERE f.position_id = p.position_id
) m
CROSS JOIN LATERAL (
    SELECT
        coalesce(m.created_event, m.created_snapshot) AS created_at,
        CASE
            WHEN m.created_event IS NOT NULL THEN 'event'
            WHEN m.created_snapshot IS NOT NULL THEN 'snapshot'
        END AS created_from,
        m.opening_event AS opening_at,
        CASE WHEN m.opening_event IS NOT NULL THEN 'event' END AS opening_from,
        CASE WHEN o.opened THEN
            coalesce(m.opened_event, p.entry_opened_at, m.opened_snapshot)
        END AS opened_at,
        CASE
            WHEN NOT o.opened THEN NULL
            WHEN m.opened_event IS NOT NULL THEN 'event'
            WHEN p.entry_opened_at IS NOT NULL THEN 'body'
            WHEN m.opened_snapshot IS NOT NULL THEN 'snapshot'
        END AS opened_from,
        coalesce(m.close_event, m.close_snapshot) AS close_requested_at,
        CASE
            WHEN m.close_event IS NOT NULL THEN 'event'
            WHEN m.close_snapshot IS NOT NULL THEN 'snapshot'
        END AS close_requested_from,
        CASE WHEN p.phase = 'terminal' THEN
            coalesce(m.end_event, p.result_closed_at, m.end_snapshot)
        END AS ended_at,
        CASE
            WHEN p.phase <> 'terminal' THEN NULL
            WHEN m.end_event IS NOT NULL THEN 'event'
            WHEN p.result_closed_at IS NOT NULL THEN 'body'
            WHEN m.end_snapshot IS NOT NULL THEN 'snapshot'
        END AS ended_from
    FROM (SELECT p.phase <> 'pending' AND p.status <> 'cancelled' AS opened) o
) k;
COMMENT ON VIEW position_lifecycle IS
    'When each position was created, opened and ended, how long each step took, and where each moment is known from. event: the created_at of the event that announces it; body: what the position object says (entry.opened_at, result.closed_at); snapshot: the as-of of the first snapshot that shows it, so it happened by then.';
COMMENT ON COLUMN position_lifecycle.created_at IS 'When its on-chain account was created; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.created_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.opening_at IS 'When its opening was confirmed on-chain, before the indexer; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.opening_from IS 'Where that is known from: event.';
COMMENT ON COLUMN position_lifecycle.opened_at IS 'When it opened; NULL where it has not, or never did. UTC.';
COMMENT ON COLUMN position_lifecycle.opened_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.close_requested_at IS 'When its close was last requested; NULL where it was not, or that is unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.close_requested_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.ended_at IS 'When it ended; NULL while it has not. UTC.';
COMMENT ON COLUMN position_lifecycle.ended_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.created_to_opening IS 'opening_at less created_at.';
COMMENT ON COLUMN position_lifecycle.opening_to_opened IS 'opened_at less opening_at: the time to finality.';
COMMENT ON COLUMN position_lifecycle.opened_to_close_requested IS 'close_requested_at less opened_at.';
COMMENT ON COLUMN position_lifecycle.close_requested_to_ended IS 'ended_at less close_requested_at.';
COMMENT ON COLUMN position_lifecycle.opened_to_ended IS 'ended_at less opened_at: how long it was held.';

CREATE VIEW daily_activity AS
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
