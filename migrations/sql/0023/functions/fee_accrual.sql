CREATE OR REPLACE FUNCTION fee_accrual(
    from_day date,
    to_day date,
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (
    day date,
    market_ticker text,
    positions bigint,
    origination_fee_usd_pips bigint,
    origination_fee_usd usd,
    lifetime_fee_usd_pips bigint,
    lifetime_fee_usd usd,
    venue_fee_usd_pips bigint,
    venue_fee_usd usd,
    liquidation_fee_usd_pips bigint,
    liquidation_fee_usd usd,
    total_fees_usd_pips bigint,
    total_fees_usd usd,
    without_reading bigint
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- The start of the first day, and the end of each.
    bounds timestamptz[] := ARRAY(
        SELECT d.starts_at
        FROM (
            SELECT d.starts_at, lag(d.starts_at, 1, d.starts_at) OVER (ORDER BY d.day) AS day_before
            FROM local_days(from_day, to_day + 1, zone) d
        ) d
        WHERE d.day_before <= least(known_time, now())
        ORDER BY d.starts_at
    );
BEGIN
    RETURN QUERY
    WITH told AS (
        -- What had been accrued in all, at each bound while open, and finally.
        SELECT
            b.position_id,
            b.market_ticker,
            array_position(bounds, b.at) - 1 AS place,
            false AS is_final,
            b.entry_origination_fee_usd_pips AS origination,
            b.accrued_lifetime_fee_usd_pips AS lifetime,
            b.accrued_venue_fee_usd_pips AS venue,
            0::bigint AS liquidation,
            b.total_fees_usd_pips AS total,
            b.reading_at
        FROM book_at(bounds, known_time) b
        UNION ALL
        SELECT
            k.position_id,
            k.market_ticker,
            width_bucket(k.ended_at, bounds) - CASE WHEN k.ended_at = ANY (bounds) THEN 1 ELSE 0 END,
            true,
            coalesce(k.fees_origination_fee_usd_pips, k.entry_origination_fee_usd_pips),
            k.fees_total_lifetime_fee_usd_pips,
            k.fees_total_venue_fee_usd_pips,
            k.result_collected_liquidation_fee_usd_pips,
            k.fees_total_fees_usd_pips,
            NULL
        FROM positions_known_at(known_time) k
        WHERE k.ended_at > bounds[1] AND k.ended_at <= bounds[cardinality(bounds)]
            AND k.opened_at IS NOT NULL
    ),
    accrued AS (
        SELECT
            t.market_ticker,
            t.place,
            coalesce(t.origination, 0)::numeric - lag(coalesce(t.origination, 0)::numeric, 1, 0::numeric) OVER life AS origination,
            coalesce(t.lifetime, 0)::numeric - lag(coalesce(t.lifetime, 0)::numeric, 1, 0::numeric) OVER life AS lifetime,
            coalesce(t.venue, 0)::numeric - lag(coalesce(t.venue, 0)::numeric, 1, 0::numeric) OVER life AS venue,
            coalesce(t.liquidation, 0)::numeric - lag(coalesce(t.liquidation, 0)::numeric, 1, 0::numeric) OVER life AS liquidation,
            coalesce(t.total, 0)::numeric - lag(coalesce(t.total, 0)::numeric, 1, 0::numeric) OVER life AS total,
            t.total IS NULL OR (NOT t.is_final AND t.reading_at < bounds[t.place]) AS is_stale
        FROM told t
        WINDOW life AS (PARTITION BY t.position_id ORDER BY t.place, t.is_final)
    )
    SELECT
        from_day + (a.place - 1),
        a.market_ticker,
        count(*),
        bigint_from_wire(sum(a.origination)::text),
        usd_from_pips(sum(a.origination))::usd,
        bigint_from_wire(sum(a.lifetime)::text),
        usd_from_pips(sum(a.lifetime))::usd,
        bigint_from_wire(sum(a.venue)::text),
        usd_from_pips(sum(a.venue))::usd,
        bigint_from_wire(sum(a.liquidation)::text),
        usd_from_pips(sum(a.liquidation))::usd,
        bigint_from_wire(sum(a.total)::text),
        usd_from_pips(sum(a.total))::usd,
        count(*) FILTER (WHERE a.is_stale)
    FROM accrued a
    WHERE a.place > 0 -- the first bound is only what to start from
    GROUP BY a.place, a.market_ticker;
END
$$;
COMMENT ON FUNCTION fee_accrual(date, date, text, timestamptz) IS
    'The fees that accrued on each day of a time zone, by market, of positions that were open at its end or ended on it: the difference between what had been accrued in all by the day''s end (the newest reading by then, see book_at; the final fees of a position that ended) and by its start. So the days of a position''s life add up to the fees that it paid in all. Only what the vendor told is counted, nothing is computed from a rate: where a position has no reading from the day itself, what it accrued falls into a later day; without_reading counts those. A day that has not ended by then shows what is known so far; one that has not begun is left out. The total is the vendor''s own; its parts need not add up to it. A sum that does not fit its column is NULL. A time without a zone is of the session''s time zone: write 17:00Z.';
