-- Comments of columns that come from a table, in that table's words.

COMMENT ON COLUMN open_positions.valuation_at IS 'The moment of the valuation: that of the latest one in valuations, or of the last fact where that is newer. UTC.';
COMMENT ON COLUMN open_positions.valuation_age IS 'How old the valuation is now.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd IS 'Mark price at which it is liquidated. In USD, exact.';
COMMENT ON COLUMN closed_positions.held_for IS 'result_closed_at less entry_opened_at.';

DO $$
DECLARE
    uncommented record;
BEGIN
    FOR uncommented IN
        SELECT DISTINCT ON (v.attrelid, v.attnum) v.attrelid::regclass AS view, v.attname AS name,
            CASE
                WHEN t.attname = v.attname OR 'valuation_' || t.attname = v.attname THEN m.meaning
                WHEN v.attname LIKE '%\_usd'
                    THEN replace(m.meaning, 'In pips: 10,000 are 1 USD.', 'In USD, exact.')
                ELSE replace(m.meaning, '; 20,000 bps are 2x', ', as a ratio')
            END AS meaning
        FROM (
            VALUES ('open_positions'::regclass, 'positions'::regclass, ''),
                ('open_positions', 'valuations', 'valuation_'),
                ('closed_positions', 'positions', ''),
                ('position_timeline', 'events', ''),
                ('position_lifecycle', 'positions', '')
        ) AS made (view, source, prefix)
        JOIN pg_attribute v ON v.attrelid = made.view
        JOIN pg_attribute t ON t.attrelid = made.source AND v.attname IN (
            made.prefix || t.attname,
            made.prefix || regexp_replace(t.attname, '_usd_pips$', '_usd'),
            made.prefix || regexp_replace(t.attname, 'leverage_bps$', 'leverage')
        )
        CROSS JOIN LATERAL (SELECT col_description(t.attrelid, t.attnum) AS meaning) m
        WHERE v.attnum > 0 AND t.attnum > 0 AND col_description(v.attrelid, v.attnum) IS NULL
        ORDER BY v.attrelid, v.attnum
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN %s.%I IS %L', uncommented.view, uncommented.name, uncommented.meaning
        );
    END LOOP;
END
$$;
