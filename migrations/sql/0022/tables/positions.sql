-- What is inferred about the vendor says so.
COMMENT ON COLUMN positions.current_effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';

-- The widest decimal that DuckDB, Arrow and Spark hold exactly. A number with more digits was in its
-- column until now; from now on that is NULL, and the field is named among those that do not fit.
-- data has it whole.
UPDATE positions
SET misfit_fields = misfit_fields
    || CASE WHEN abs(entry_position_token_units) >= 1e38
        THEN ARRAY['entry.position_token_units'] ELSE '{}' END
    || CASE WHEN abs(current_position_token_units) >= 1e38
        THEN ARRAY['current.position_token_units'] ELSE '{}' END
WHERE abs(entry_position_token_units) >= 1e38 OR abs(current_position_token_units) >= 1e38;
ALTER TABLE positions
    ALTER COLUMN entry_position_token_units TYPE numeric(38,0)
        USING CASE WHEN abs(entry_position_token_units) < 1e38 THEN entry_position_token_units END,
    ALTER COLUMN current_position_token_units TYPE numeric(38,0)
        USING CASE WHEN abs(current_position_token_units) < 1e38
            THEN current_position_token_units END;
