CREATE OR REPLACE FUNCTION end_of_day_book(
    from_day date,
    to_day date,
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (
    day date,
    market_ticker text,
    side text,
    positions bigint,
    open_interest_usd_pips bigint,
    open_interest_usd usd,
    position_value_usd_pips bigint,
    position_value_usd usd,
    net_unrealized_pnl_usd_pips bigint,
    net_unrealized_pnl_usd usd,
    net_realized_pnl_to_date_usd_pips bigint,
    net_realized_pnl_to_date_usd usd,
    equity_usd_pips bigint,
    equity_usd usd,
    without_reading bigint,
    oldest_reading_at timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    ends timestamptz[] := ARRAY(
        SELECT d.ends_at FROM local_days(from_day, to_day, zone) d
        WHERE d.starts_at <= least(known_time, now())
    );
BEGIN
    RETURN QUERY
    WITH book AS (
        SELECT
            b.at,
            b.market_ticker,
            b.side,
            count(*) AS positions,
            sum(b.open_interest_usd_pips) AS open_interest,
            sum(b.position_value_usd_pips) AS position_value,
            sum(b.net_unrealized_pnl_usd_pips) AS unrealized,
            count(*) FILTER (WHERE b.net_unrealized_pnl_usd_pips IS NULL) AS without_reading,
            min(b.reading_at) AS oldest_reading_at
        FROM book_at(ends, known_time) b
        GROUP BY b.at, b.market_ticker, b.side
    ),
    ended AS (
        SELECT
            d.ends_at AS at,
            k.market_ticker,
            k.side,
            sum(k.net_realized) AS net_realized
        FROM (
            SELECT
                k.market_ticker,
                k.side,
                -- The first of these days at whose end it had ended.
                width_bucket(k.ended_at, ends) AS place,
                k.ended_at = ANY (ends) AS on_the_dot,
                sum(k.result_net_realized_pnl_usd_pips) AS net_realized
            FROM positions_known_at(known_time) k
            WHERE k.ended_at <= ends[cardinality(ends)]
            GROUP BY 1, 2, 3, 4
        ) k
        JOIN LATERAL unnest(ends) WITH ORDINALITY d (ends_at, place)
            ON d.place > k.place - CASE WHEN k.on_the_dot THEN 1 ELSE 0 END
        GROUP BY 1, 2, 3
    )
    SELECT
        d.day,
        coalesce(b.market_ticker, e.market_ticker),
        coalesce(b.side, e.side),
        coalesce(b.positions, 0),
        bigint_from_wire(coalesce(b.open_interest, 0)::text),
        usd_from_pips(coalesce(b.open_interest, 0))::usd,
        bigint_from_wire(coalesce(b.position_value, 0)::text),
        usd_from_pips(coalesce(b.position_value, 0))::usd,
        bigint_from_wire(coalesce(b.unrealized, 0)::text),
        usd_from_pips(coalesce(b.unrealized, 0))::usd,
        bigint_from_wire(coalesce(e.net_realized, 0)::text),
        usd_from_pips(coalesce(e.net_realized, 0))::usd,
        bigint_from_wire((coalesce(e.net_realized, 0) + coalesce(b.unrealized, 0))::text),
        usd_from_pips(coalesce(e.net_realized, 0) + coalesce(b.unrealized, 0))::usd,
        coalesce(b.without_reading, 0),
        b.oldest_reading_at
    FROM book b
    FULL JOIN ended e
        ON e.at = b.at AND (e.market_ticker, e.side) IS NOT DISTINCT FROM (b.market_ticker, b.side)
    JOIN local_days(from_day, to_day, zone) d ON d.ends_at = coalesce(b.at, e.at);
END
$$;
COMMENT ON FUNCTION end_of_day_book(date, date, text, timestamptz) IS
    'The book at the end of each day of a time zone, by market and side, as it really was by what was known at known_time (book_at): positions open, their open interest, value and unrealized PnL after fees, the net realized PnL of all that had ended by then, and the two together: the equity curve, of the customers'' PnL. What is open without any reading by then counts 0 in value and unrealized PnL, and in without_reading. oldest_reading_at says how old the readings are. A day that has not ended by then shows what is known so far; one that has not begun is left out. A sum that does not fit its column is NULL. A time without a zone is of the session''s time zone: write 17:00Z.';
