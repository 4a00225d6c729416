-- The functions as they were, with whatever search_path the caller has. The paths of the others stay:
-- to look into the store's own schema alone was always what they were for.

CREATE OR REPLACE FUNCTION instant_from_wire(wire text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    instant timestamptz;
BEGIN
    -- Only with an offset: without one the result would hang on the session's time zone.
    IF wire !~ '^[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9](:[0-9][0-9]([.][0-9]+)?)?([Zz]|[+-][0-9][0-9](:?[0-9][0-9])?)$' THEN
        RETURN NULL;
    END IF;
    IF length(wire) > 26 THEN
        -- Cut, as created_at is: a cast would round, and would refuse a hundred digits.
        wire := regexp_replace(wire, '([.][0-9]{6})[0-9]+', '\1');
    END IF;
    instant := wire::timestamptz;
    -- Drivers and languages know the years 1 to 9999.
    IF instant >= '0001-01-01 00:00:00+00' AND instant < '10000-01-01 00:00:00+00' THEN
        RETURN instant;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION bigint_from_wire(wire text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF wire ~ '^-?[0-9]{1,19}$' THEN
        RETURN wire::bigint;
    END IF;
    RETURN NULL;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION jsonb_from_wire(wire json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    repaired text := wire::text;
    -- In a string it may be found, too; that costs time alone.
    far_away boolean := repaired ~ '[:,[[:space:]]-?[0-9.]+[eE][-+]?[0-9]{3}';
    tokens   text[];
    token    text;
BEGIN
    IF NOT far_away THEN
        BEGIN
            RETURN repaired::jsonb; -- not of wire, which would be unpacked once more
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END IF;
    -- Control characters stand nowhere in JSON, so they can stand in for what is in order. Without
    -- the escaped backslashes, every backslash begins an escape.
    repaired := replace(repaired, '\\', E'\x01');
    repaired := regexp_replace(repaired,
        '\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})', E'\x02\\1\x02\\2', 'g');
    repaired := regexp_replace(repaired, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g');
    repaired := replace(repaired, E'\x02', '\u');
    IF NOT far_away THEN
        BEGIN
            RETURN replace(repaired, E'\x01', '\\')::jsonb;
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END IF;
    -- What is left is a number that numeric cannot hold, or holds only at length. It becomes its
    -- text.
    tokens := ARRAY(
        SELECT matched[1]
        FROM regexp_matches(
            replace(repaired, '\"', E'\x02'), '"[^"]*"|[-0-9][-+.0-9eE]*|[^-0-9"]+', 'g'
        ) matched
    );
    FOR place IN 1..cardinality(tokens) LOOP
        token := tokens[place];
        IF token ~ '^[-0-9]' THEN
            IF token ~ '[eE][-+]?[0-9]{3}' THEN
                token := '"' || token || '"';
            ELSIF length(token) > 1000 THEN
                BEGIN
                    PERFORM token::numeric;
                EXCEPTION WHEN data_exception THEN
                    token := '"' || token || '"';
                END;
            ELSE
                CONTINUE;
            END IF;
            -- Out here, because inside that block it would copy the array.
            tokens[place] := token;
        END IF;
    END LOOP;
    repaired := replace(array_to_string(tokens, ''), E'\x02', '\"');
    RETURN replace(repaired, E'\x01', '\\')::jsonb;
END
$$;

ALTER FUNCTION changed_fields(jsonb, jsonb) RESET search_path;
ALTER FUNCTION refuse_change_of_events() RESET search_path;
