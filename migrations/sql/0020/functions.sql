-- The functions in PL/pgSQL that had no search_path of their own: the same bodies, which now mean the
-- same whatever the caller's is.
--
-- The first three are called for each field of each fact, and a SET clause costs more than they do. So
-- they name the schema of each function, operator and type instead; bigint, numeric and the like are
-- words of the grammar, which no search_path changes.

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

CREATE OR REPLACE FUNCTION jsonb_from_wire(wire json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    repaired pg_catalog.text := wire::pg_catalog.text;
    -- In a string it may be found, too; that costs time alone.
    far_away boolean := repaired OPERATOR(pg_catalog.~) '[:,[[:space:]]-?[0-9.]+[eE][-+]?[0-9]{3}';
    tokens   pg_catalog.text[];
    token    pg_catalog.text;
BEGIN
    IF NOT far_away THEN
        BEGIN
            -- Not of wire, which would be unpacked once more.
            RETURN repaired::pg_catalog.jsonb;
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END IF;
    -- Control characters stand nowhere in JSON, so they can stand in for what is in order. Without
    -- the escaped backslashes, every backslash begins an escape.
    repaired := pg_catalog.replace(repaired, '\\', E'\x01');
    repaired := pg_catalog.regexp_replace(repaired,
        '\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})', E'\x02\\1\x02\\2', 'g');
    repaired := pg_catalog.regexp_replace(
        repaired, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g'
    );
    repaired := pg_catalog.replace(repaired, E'\x02', '\u');
    IF NOT far_away THEN
        BEGIN
            RETURN pg_catalog.replace(repaired, E'\x01', '\\')::pg_catalog.jsonb;
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END IF;
    -- What is left is a number that numeric cannot hold, or holds only at length. It becomes its
    -- text.
    tokens := ARRAY(
        SELECT matched[1]
        FROM pg_catalog.regexp_matches(
            pg_catalog.replace(repaired, '\"', E'\x02'),
            '"[^"]*"|[-0-9][-+.0-9eE]*|[^-0-9"]+',
            'g'
        ) matched
    );
    FOR place IN 1..pg_catalog.cardinality(tokens) LOOP
        token := tokens[place];
        IF token OPERATOR(pg_catalog.~) '^[-0-9]' THEN
            IF token OPERATOR(pg_catalog.~) '[eE][-+]?[0-9]{3}' THEN
                token := pg_catalog.concat('"', token, '"');
            ELSIF pg_catalog.length(token) OPERATOR(pg_catalog.>) 1000 THEN
                BEGIN
                    PERFORM token::numeric;
                EXCEPTION WHEN data_exception THEN
                    token := pg_catalog.concat('"', token, '"');
                END;
            ELSE
                CONTINUE;
            END IF;
            -- Out here, because inside that block it would copy the array.
            tokens[place] := token;
        END IF;
    END LOOP;
    repaired := pg_catalog.replace(pg_catalog.array_to_string(tokens, ''), E'\x02', '\"');
    RETURN pg_catalog.replace(repaired, E'\x01', '\\')::pg_catalog.jsonb;
END
$$;

-- These two are called for a row of a report, and when a change of the log is refused.
ALTER FUNCTION changed_fields(jsonb, jsonb) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION refuse_change_of_events() SET search_path = pg_catalog, pg_temp;

-- These had the path of whoever migrated, "$user" with it, and looked into pg_temp first. Now it is
-- the store's own schema alone, which a migration has as its path.
ALTER FUNCTION fold_facts(text[], timestamptz, timestamptz) SET search_path FROM CURRENT;
ALTER FUNCTION facts_as_of(timestamptz, timestamptz) SET search_path FROM CURRENT;
ALTER FUNCTION positions_as_of(timestamptz, timestamptz, text, text) SET search_path FROM CURRENT;
ALTER FUNCTION book_changes(timestamptz, timestamptz) SET search_path FROM CURRENT;
ALTER FUNCTION events_after(bigint, integer) SET search_path FROM CURRENT;
ALTER FUNCTION is_retracted(text, text, timestamptz, integer) SET search_path FROM CURRENT;
