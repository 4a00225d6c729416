-- It is called for each field of each fact, and a SET clause costs more than it does. So it names the
-- schema of each function, operator and type instead; bigint, numeric and the like are words of the
-- grammar, which no search_path changes.
CREATE OR REPLACE FUNCTION instant_from_wire(wire text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    instant timestamp with time zone;
BEGIN
    -- Only with an offset: without one the result would hang on the session's time zone.
    IF wire OPERATOR(pg_catalog.!~) '^[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9](:[0-9][0-9]([.][0-9]+)?)?([Zz]|[+-][0-9][0-9](:?[0-9][0-9])?)$' THEN
        RETURN NULL;
    END IF;
    IF pg_catalog.length(wire) OPERATOR(pg_catalog.>) 26 THEN
        -- Cut, as created_at is: a cast would round, and would refuse a hundred digits.
        wire := pg_catalog.regexp_replace(wire, '([.][0-9]{6})[0-9]+', '\1');
    END IF;
    instant := wire::timestamp with time zone;
    -- Drivers and languages know the years 1 to 9999.
    IF instant OPERATOR(pg_catalog.>=) '0001-01-01 00:00:00+00'
        AND instant OPERATOR(pg_catalog.<) '10000-01-01 00:00:00+00'
    THEN
        RETURN instant;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION instant_from_wire(text) IS
    'The instant that an ISO 8601 text names, cut to microseconds; NULL where it names none of the years 1 to 9999.';
