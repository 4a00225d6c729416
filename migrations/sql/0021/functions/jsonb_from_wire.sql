-- It is called for each field of each fact, and a SET clause costs more than it does. So it names the
-- schema of each function, operator and type instead; bigint, numeric and the like are words of the
-- grammar, which no search_path changes.
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
COMMENT ON FUNCTION jsonb_from_wire(json) IS
    'The same value as jsonb, always: U+0000 and lone surrogates become U+FFFD, a number that numeric cannot hold, or whose exponent has three digits or more, becomes its text.';
