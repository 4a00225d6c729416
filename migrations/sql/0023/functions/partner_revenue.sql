CREATE OR REPLACE FUNCTION partner_revenue(
    from_day date,
    to_day date,
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (
    day date,
    market_ticker text,
    positions bigint,
    notional_usd_pips bigint,
    notional_usd usd,
    origination_fee_usd_pips bigint,
    origination_fee_usd usd,
    partner_usd_pips bigint,
    partner_usd usd,
    protocol_usd_pips bigint,
    protocol_usd usd,
    unknown bigint
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        d.day,
        r.market_ticker,
        count(*),
        bigint_from_wire(coalesce(sum(r.notional), 0)::text),
        usd_from_pips(coalesce(sum(r.notional), 0))::usd,
        bigint_from_wire(coalesce(sum(r.fee), 0)::text),
        usd_from_pips(coalesce(sum(r.fee), 0))::usd,
        bigint_from_wire(coalesce(sum(r.partner), 0)::text),
        usd_from_pips(coalesce(sum(r.partner), 0))::usd,
        bigint_from_wire(coalesce(sum(r.fee - r.partner), 0)::text),
        usd_from_pips(coalesce(sum(r.fee - r.partner), 0))::usd,
        count(*) FILTER (WHERE r.partner IS NULL)
    FROM (
        SELECT
            (k.opened_at AT TIME ZONE zone)::date AS day,
            k.market_ticker,
            k.entry_notional_usd_pips AS notional,
            f.fee,
            CASE
                WHEN f.fee = 0 THEN 0
                ELSE div(
                    f.fee::numeric * k.entry_partner_origination_fee_bps,
                    nullif(k.entry_origination_fee_bps, 0)
                )
            END AS partner
        FROM positions_known_at(known_time) k
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN k.status = 'cancelled' THEN coalesce(k.fees_origination_fee_usd_pips, 0)
                ELSE coalesce(k.fees_origination_fee_usd_pips, k.entry_origination_fee_usd_pips)
            END AS fee
        ) f
        WHERE k.opened_at IS NOT NULL
    ) r
    JOIN local_days(from_day, to_day, zone) d ON d.day = r.day
    GROUP BY d.day, r.market_ticker;
END
$$;
COMMENT ON FUNCTION partner_revenue(date, date, text, timestamptz) IS
    'The partner''s own part of the origination fees of the positions that opened on each day of a time zone, by market. Inferred, for the vendor tells rates and the whole fee, and not what it pays out: the fee is divided as entry_partner_origination_fee_bps is to entry_origination_fee_bps, cut to whole pips for each position, and the rest is the protocol''s; other fees are not shared; a position that opened and was reverted owes what its final body says, else nothing. unknown counts the positions for which a rate or the fee is not told; they add nothing. A sum that does not fit its column is NULL. A time without a zone is of the session''s time zone: write 17:00Z.';
