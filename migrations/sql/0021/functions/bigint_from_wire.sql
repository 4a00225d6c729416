-- It is called for each field of each fact, and a SET clause costs more than it does. So it names the
-- schema of each function, operator and type instead; bigint, numeric and the like are words of the
-- grammar, which no search_path changes.
CREATE OR REPLACE FUNCTION bigint_from_wire(wire text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF wire OPERATOR(pg_catalog.~) '^-?[0-9]{1,19}$' THEN
        RETURN wire::bigint;
    END IF;
    RETURN NULL;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION bigint_from_wire(text) IS
    'The integer that a text spells; NULL where it spells none, or one beyond 64 bits.';
