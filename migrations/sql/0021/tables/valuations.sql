CREATE TABLE valuations (
    position_id                        text COLLATE "C" PRIMARY KEY,
    as_of                              timestamptz NOT NULL,
    mark_price_usd_pips                bigint,
    position_value_usd_pips            bigint,
    unrealized_pnl_usd_pips            bigint,
    net_unrealized_pnl_usd_pips        bigint,
    health_bps                         bigint,
    current_liquidation_price_usd_pips bigint
);
COMMENT ON TABLE valuations IS
    'The latest valuation of each live position, from GET /positions: what moves with the market, kept out of the log.';
COMMENT ON COLUMN valuations.position_id IS 'The position.';
COMMENT ON COLUMN valuations.as_of IS 'The valuation is at least this new, by the server''s clock. UTC.';
COMMENT ON COLUMN valuations.mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.health_bps IS 'Health; it is liquidated as this reaches 0. In basis points.';
COMMENT ON COLUMN valuations.current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD.';
