-- Addresses in one spelling, and an index of the few rows with invalid fields.

ALTER TABLE positions ALTER COLUMN data SET COMPRESSION DEFAULT;

UPDATE positions
SET wallet_address = address_from_wire(wallet_address),
    on_chain_position_key = address_from_wire(on_chain_position_key)
WHERE (wallet_address, on_chain_position_key) IS DISTINCT FROM
    (address_from_wire(wallet_address), address_from_wire(on_chain_position_key));
COMMENT ON COLUMN positions.wallet_address IS 'The customer''s wallet; a 0x address in lower case.';
COMMENT ON COLUMN positions.on_chain_position_key IS 'The key of the position''s on-chain account; a 0x address in lower case.';

CREATE INDEX positions_misfit_fields ON positions (position_id) WHERE misfit_fields <> '{}';
