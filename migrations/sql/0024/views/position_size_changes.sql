-- Each window is of one position, so that a look for one position reads the facts of that one.
CREATE OR REPLACE VIEW position_size_changes WITH (security_invoker = true) AS
SELECT
    c.position_id,
    row_number() OVER (
        PARTITION BY c.position_id ORDER BY NOT c.overruled, c.rank, c.is_own
    ) AS place,
    coalesce(pc.executed_at, u.executed_at, c.changed_at) AS changed_at,
    CASE WHEN coalesce(pc.executed_at, u.executed_at) IS NOT NULL THEN 'sub_resource'
        ELSE c.changed_from
    END AS changed_from,
    CASE WHEN pc.position_id IS NOT NULL THEN 'partial_close' ELSE c.kind END AS kind,
    c.before_token_units::numeric(38, 0),
    c.after_token_units::numeric(38, 0),
    (c.after_token_units - c.before_token_units)::numeric(38, 0) AS changed_token_units,
    c.before_notional_usd_pips,
    (c.before_notional_usd_pips * 0.0001)::numeric(24, 4) AS before_notional_usd,
    c.after_notional_usd_pips,
    (c.after_notional_usd_pips * 0.0001)::numeric(24, 4) AS after_notional_usd,
    coalesce(c.before_leverage_bps, u.before_leverage_bps) AS before_leverage_bps,
    coalesce(c.after_leverage_bps, u.after_leverage_bps) AS after_leverage_bps,
    coalesce(c.price_usd_pips, pc.price_usd_pips) AS price_usd_pips,
    (coalesce(c.price_usd_pips, pc.price_usd_pips) * 0.0001)::numeric(24, 4) AS price_usd,
    c.mark_price_usd_pips,
    (c.mark_price_usd_pips * 0.0001)::numeric(24, 4) AS mark_price_usd,
    c.event_id,
    c.seq,
    c.type,
    c.source,
    u.reason,
    u.reason_detail,
    pc.average_sale_price_usd,
    pc.user_payout_usd,
    r.realized_pnl_usd_pips,
    (r.realized_pnl_usd_pips * 0.0001)::numeric(24, 4) AS realized_pnl_usd
FROM (
    SELECT
        o.position_id, o.overruled, o.rank, o.event_id, o.seq, o.type, o.source,
        o.mark_price_usd_pips, o.entry_price_usd_pips, y.*
    FROM (
        SELECT
            n.*,
            n.has_opened AND row_number() OVER (
                PARTITION BY n.position_id, n.has_opened ORDER BY NOT n.overruled, n.rank
            ) = 1 AS is_first,
            lag(n.token_units) OVER of_readings AS last_token_units,
            lag(n.notional_usd_pips) OVER of_readings AS last_notional_usd_pips,
            lag(n.leverage_bps) OVER of_readings AS last_leverage_bps
        FROM (
            SELECT
                g.position_id, g.event_id, g.seq, g.type, g.source, g.created_at, g.rank,
                CASE
                    WHEN g.supersedes_before IS NULL THEN g.created_at <= p.supersedes_before
                    ELSE g.event_id <> first_value(g.event_id) OVER (
                        PARTITION BY g.position_id
                        ORDER BY g.supersedes_before IS NULL, g.created_at DESC, g.rank DESC
                    )
                END IS TRUE AS overruled,
                g.supersedes_before IS NOT NULL AS is_snapshot,
                g.type IN ('position.force_unwound', 'position.partial_closed') AS is_reduction,
                b.*,
                g.phase = 'live' AND b.token_units IS NOT NULL AS is_reading,
                g.phase <> 'pending' AND g.status <> 'cancelled' AND (
                    g.type = 'position.opened' OR b.opened_at IS NOT NULL
                    OR (g.phase = 'live' AND b.token_units > 0)
                ) IS TRUE AS has_opened
            FROM ranked_facts g
            LEFT JOIN positions p ON p.position_id = g.position_id
            CROSS JOIN LATERAL (
                -- OFFSET 0, here and below: computed once a row, not once a column.
                SELECT nullif(w.data -> 'entry', 'null') AS entry,
                    nullif(w.data -> 'current', 'null') AS current
                FROM (SELECT jsonb_from_wire(g.envelope) -> 'data' AS data OFFSET 0) w
                OFFSET 0
            ) s
            CROSS JOIN LATERAL (
                SELECT
                    CASE WHEN s.current ->> 'position_token_units' ~ '^-?[0-9]{1,38}$'
                        THEN (s.current ->> 'position_token_units')::numeric(38, 0)
                    END AS token_units,
                    bigint_from_wire(s.current ->> 'notional_usd_pips') AS notional_usd_pips,
                    bigint_from_wire(s.current ->> 'book_leverage_bps') AS leverage_bps,
                    bigint_from_wire(s.current ->> 'mark_price_usd_pips') AS mark_price_usd_pips,
                    CASE WHEN s.entry ->> 'position_token_units' ~ '^-?[0-9]{1,38}$'
                        THEN (s.entry ->> 'position_token_units')::numeric(38, 0)
                    END AS entry_token_units,
                    bigint_from_wire(s.entry ->> 'notional_usd_pips') AS entry_notional_usd_pips,
                    bigint_from_wire(s.entry ->> 'leverage_bps') AS entry_leverage_bps,
                    bigint_from_wire(s.entry ->> 'effective_entry_price_usd_pips')
                        AS entry_price_usd_pips,
                    CASE WHEN jsonb_typeof(s.entry -> 'opened_at') = 'string'
                        THEN instant_from_wire(s.entry ->> 'opened_at')
                    END AS opened_at
                OFFSET 0
            ) b
            WHERE NOT EXISTS (
                SELECT FROM events r
                WHERE r.position_id = g.position_id AND r.retracts = g.event_id
                    AND NOT is_retracted(r.position_id, r.event_id, depth => 1)
            )
        ) n
        WINDOW of_readings AS (
            PARTITION BY n.position_id, n.is_reading ORDER BY NOT n.overruled, n.rank
        )
    ) o
    CROSS JOIN LATERAL (
        SELECT
            o.is_first AND NOT CASE
                WHEN o.type = 'position.opened' THEN o.is_reading IS NOT TRUE
                ELSE NOT o.is_reading OR o.is_reduction OR o.entry_token_units IS NOT NULL
            END AS is_fill_itself,
            CASE WHEN o.is_reading THEN o.token_units END AS own_token_units,
            CASE WHEN o.is_reading THEN coalesce(o.last_token_units, o.entry_token_units)
            END AS before_token_units,
            o.is_reading AND o.last_token_units IS NULL AS is_from_entry
        OFFSET 0
    ) x
    CROSS JOIN LATERAL (
        -- What the first fact that has it open says of how it was opened, and what it itself changed.
        SELECT
            v.is_own,
            CASE
                WHEN NOT v.is_own THEN 'fill'
                WHEN o.type = 'position.force_unwound' THEN 'unwind'
                WHEN o.type = 'position.partial_closed' THEN 'partial_close'
                WHEN x.own_token_units > x.before_token_units THEN 'fill'
                ELSE 'reduction'
            END AS kind,
            CASE WHEN NOT v.is_own THEN coalesce(o.opened_at, o.created_at) ELSE o.created_at
            END AS changed_at,
            CASE
                WHEN NOT v.is_own AND o.opened_at IS NOT NULL THEN 'body'
                WHEN o.is_snapshot THEN 'snapshot'
                ELSE 'event'
            END AS changed_from,
            CASE WHEN NOT v.is_own THEN 0::numeric(38, 0) ELSE x.before_token_units
            END AS before_token_units,
            CASE
                WHEN v.is_own THEN x.own_token_units
                WHEN x.is_fill_itself THEN o.token_units
                ELSE o.entry_token_units
            END AS after_token_units,
            CASE
                WHEN NOT v.is_own THEN 0::bigint
                WHEN x.is_from_entry THEN o.entry_notional_usd_pips
                WHEN o.is_reading THEN o.last_notional_usd_pips
            END AS before_notional_usd_pips,
            CASE
                WHEN v.is_own THEN CASE WHEN o.is_reading THEN o.notional_usd_pips END
                WHEN x.is_fill_itself THEN coalesce(o.notional_usd_pips, o.entry_notional_usd_pips)
                ELSE o.entry_notional_usd_pips
            END AS after_notional_usd_pips,
            CASE
                WHEN NOT v.is_own THEN NULL
                WHEN x.is_from_entry THEN o.entry_leverage_bps
                WHEN o.is_reading THEN o.last_leverage_bps
            END AS before_leverage_bps,
            CASE
                WHEN v.is_own THEN CASE WHEN o.is_reading THEN o.leverage_bps END
                WHEN x.is_fill_itself THEN coalesce(o.leverage_bps, o.entry_leverage_bps)
                ELSE o.entry_leverage_bps
            END AS after_leverage_bps,
            CASE WHEN NOT v.is_own THEN o.entry_price_usd_pips END AS price_usd_pips
        FROM (VALUES (false), (true)) v (is_own)
        WHERE CASE
            WHEN NOT v.is_own THEN o.is_first
            ELSE NOT x.is_fill_itself
                AND (o.is_reduction OR x.own_token_units <> x.before_token_units)
        END
    ) y
) c
LEFT JOIN (
    -- The vendor's partial closes: one that sold as much and left as much is the one.
    SELECT DISTINCT ON (i.position_id, i.sold_token_units, i.remaining_token_units) i.*,
        -- Only a whole number of pips is a price in pips.
        CASE WHEN i.average_sale_price_usd * 10000 = trunc(i.average_sale_price_usd * 10000)
            THEN (i.average_sale_price_usd * 10000)::bigint
        END AS price_usd_pips
    FROM (
        SELECT
            s.position_id,
            instant_from_wire(item ->> 'executed_at') AS executed_at,
            (CASE WHEN item ->> 'sold_token_units' ~ '^[0-9]{1,38}$'
                THEN item ->> 'sold_token_units'
            END)::numeric(38, 0) AS sold_token_units,
            (CASE WHEN item ->> 'remaining_position_token_units' ~ '^[0-9]{1,38}$'
                THEN item ->> 'remaining_position_token_units'
            END)::numeric(38, 0) AS remaining_token_units,
            (CASE WHEN item ->> 'average_sale_price_usd' ~ '^[0-9]{1,14}([.][0-9]{1,10}0*)?$'
                THEN item ->> 'average_sale_price_usd'
            END)::numeric(24, 10) AS average_sale_price_usd,
            (CASE WHEN item ->> 'user_payout_usd' ~ '^-?[0-9]{1,20}([.][0-9]{1,4}0*)?$'
                THEN item ->> 'user_payout_usd'
            END)::numeric(24, 4) AS user_payout_usd
        FROM position_sub_resources s
        CROSS JOIN LATERAL (SELECT jsonb_from_wire(s.body) -> 'data' AS data OFFSET 0) b
        CROSS JOIN LATERAL jsonb_array_elements(
            CASE WHEN jsonb_typeof(b.data) = 'array' THEN b.data ELSE '[]' END
        ) item
        WHERE s.resource = 'partial_closes'
    ) i
    ORDER BY i.position_id, i.sold_token_units, i.remaining_token_units, i.executed_at
) pc ON pc.position_id = c.position_id
    AND c.kind IN ('partial_close', 'reduction')
    AND pc.sold_token_units = c.before_token_units - c.after_token_units
    AND pc.remaining_token_units = c.after_token_units
LEFT JOIN LATERAL (
    -- The vendor's unwinds do not tell the size: the nearest in time, within two minutes.
    SELECT
        n.executed_at,
        bigint_from_wire(n.item ->> 'before_leverage_bps') AS before_leverage_bps,
        bigint_from_wire(n.item ->> 'after_leverage_bps') AS after_leverage_bps,
        n.item ->> 'reason' AS reason,
        n.item ->> 'reason_detail' AS reason_detail
    FROM (
        SELECT
            (array_agg(w.executed_at ORDER BY w.away, w.executed_at))[1] AS executed_at,
            (array_agg(w.item ORDER BY w.away, w.executed_at))[1] AS item
        FROM (
            SELECT
                s.position_id,
                w.executed_at,
                item,
                greatest(w.executed_at - c.changed_at, c.changed_at - w.executed_at) AS away
            FROM position_sub_resources s
            CROSS JOIN LATERAL (SELECT jsonb_from_wire(s.body) -> 'data' AS data OFFSET 0) b
            CROSS JOIN LATERAL jsonb_array_elements(
                CASE WHEN jsonb_typeof(b.data) = 'array' THEN b.data ELSE '[]' END
            ) item
            CROSS JOIN LATERAL (SELECT instant_from_wire(item ->> 'executed_at') AS executed_at) w
            WHERE c.kind = 'unwind' AND s.position_id = c.position_id AND s.resource = 'unwinds'
                AND w.executed_at BETWEEN c.changed_at - interval '2 minutes'
                    AND c.changed_at + interval '2 minutes'
        ) w
        GROUP BY w.position_id
    ) n
) u ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN abs(x.pips) < 9e18 THEN x.pips::bigint END AS realized_pnl_usd_pips
    FROM (
        SELECT round(
            (c.before_token_units - c.after_token_units)
            * (pc.average_sale_price_usd * 10000 - c.entry_price_usd_pips) / 1000000
        ) AS pips
    ) x
) r;
COMMENT ON VIEW position_size_changes IS
    'What changed the size of a position while it was open: each fill, unwind and partial close, from the facts that count in their order. The end of a position is no such change. What nothing tells is NULL.';
COMMENT ON COLUMN position_size_changes.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN position_size_changes.place IS 'Its place among the changes of the position, from 1.';
COMMENT ON COLUMN position_size_changes.changed_at IS 'When it changed, as changed_from says. UTC.';
COMMENT ON COLUMN position_size_changes.changed_from IS 'body: entry.opened_at; event: the created_at of the event that announces it; snapshot: the as-of of the snapshot that shows it, so it happened by then; sub_resource: the executed_at of the vendor''s list of unwinds or partial closes.';
COMMENT ON COLUMN position_size_changes.kind IS 'fill, unwind (position.force_unwound), partial_close (position.partial_closed, or one of the vendor''s list), or reduction: it became smaller, and no event says by what.';
COMMENT ON COLUMN position_size_changes.before_token_units IS 'Tokens held before, in millionths: those of the fact before it in the order of facts, or of the entry; 0 before the first fill.';
COMMENT ON COLUMN position_size_changes.after_token_units IS 'Tokens held after it, in millionths.';
COMMENT ON COLUMN position_size_changes.changed_token_units IS 'after_token_units less before_token_units: negative where it became smaller. 0 where a fact before it in the order showed its effect already.';
COMMENT ON COLUMN position_size_changes.before_notional_usd_pips IS 'Notional before. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN position_size_changes.before_notional_usd IS 'Notional before. In USD, exact.';
COMMENT ON COLUMN position_size_changes.after_notional_usd_pips IS 'Notional after it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN position_size_changes.after_notional_usd IS 'Notional after it. In USD, exact.';
COMMENT ON COLUMN position_size_changes.before_leverage_bps IS 'Leverage at cost before (current.book_leverage_bps, or entry.leverage_bps), which the market does not move. In basis points; 20,000 bps are 2x.';
COMMENT ON COLUMN position_size_changes.after_leverage_bps IS 'Leverage at cost after it. In basis points; 20,000 bps are 2x.';
COMMENT ON COLUMN position_size_changes.price_usd_pips IS 'Price of one token, where it is known: of the first fill entry.effective_entry_price, of a partial close average_sale_price_usd where that is whole pips. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN position_size_changes.price_usd IS 'Price of one token, where it is known. In USD, exact.';
COMMENT ON COLUMN position_size_changes.mark_price_usd_pips IS 'Mark price that the fact shows: near the price of the change, but not that price. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN position_size_changes.mark_price_usd IS 'Mark price that the fact shows. In USD, exact.';
COMMENT ON COLUMN position_size_changes.event_id IS 'The fact that shows it: its event_id in events.';
COMMENT ON COLUMN position_size_changes.seq IS 'The fact that shows it: its place in the log.';
COMMENT ON COLUMN position_size_changes.type IS 'The type of that fact. One that shows two changes (how it was opened, and what became of it) has two rows.';
COMMENT ON COLUMN position_size_changes.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN position_size_changes.reason IS 'Of an unwind: why, in the vendor''s word, from its list of unwinds; inferred: the one nearest in time, within two minutes. NULL where that was not read.';
COMMENT ON COLUMN position_size_changes.reason_detail IS 'Of an unwind: more of why; NULL where the vendor says no more.';
COMMENT ON COLUMN position_size_changes.average_sale_price_usd IS 'Of a partial close: the average price of the tokens sold, from the vendor''s list of partial closes: the one that sold as many tokens and left as many. In USD, exact; NULL where it has more than ten decimals.';
COMMENT ON COLUMN position_size_changes.user_payout_usd IS 'Of a partial close: what was paid out to the customer, from the same list. In USD, exact.';
COMMENT ON COLUMN position_size_changes.realized_pnl_usd_pips IS 'PnL that a partial close realized, before fees: tokens sold times (average_sale_price less entry.effective_entry_price), rounded to whole pips; NULL where one of them is not known. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN position_size_changes.realized_pnl_usd IS 'The same, in USD.';
