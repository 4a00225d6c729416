CREATE OR REPLACE FUNCTION address_from_wire(wire text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN wire COLLATE "C" ~ '^0[xX][0-9a-fA-F]+$' THEN lower(wire COLLATE "C") ELSE wire
END;
COMMENT ON FUNCTION address_from_wire(text) IS
    'An address in one spelling: a hexadecimal one that begins with 0x in lower case, as its letters only carry a checksum; any other, base58 too, as it is.';
