CREATE OR REPLACE FUNCTION open_interest(current_notional bigint, entry_notional bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN coalesce(current_notional, entry_notional);
COMMENT ON FUNCTION open_interest(bigint, bigint) IS
    'The one definition of the open interest of an open position, in pips: its notional by the latest reading, or at entry where no reading tells it. What its tokens are worth at the mark price is another number: the position value.';
