-- A cast of an array to text is only stable, and a worker is sent nothing but what is immutable; of
-- elements that are text it depends on no setting.
CREATE OR REPLACE FUNCTION text_of(elements text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
    RETURN elements::pg_catalog.text;
END
$$;
COMMENT ON FUNCTION text_of(text[]) IS
    'An array as text. Only in a store on Citus.';
