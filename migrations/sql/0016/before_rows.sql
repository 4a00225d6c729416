-- The rows that stand, as the wire spells them. Those that show what a snapshot carried stay as they
-- are until a rebuild.

UPDATE positions SET wallet_address = data ->> 'wallet_address'
WHERE wallet_address <> data ->> 'wallet_address'
    AND jsonb_typeof(data -> 'wallet_address') = 'string';

UPDATE positions SET on_chain_position_key = data ->> 'on_chain_position_key'
WHERE on_chain_position_key <> data ->> 'on_chain_position_key'
    AND jsonb_typeof(data -> 'on_chain_position_key') = 'string';

DROP FUNCTION address_from_wire(text);
DROP FUNCTION with_carried(jsonb, jsonb);

COMMENT ON COLUMN positions.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN positions.on_chain_position_key IS 'The key of the position''s on-chain account.';
