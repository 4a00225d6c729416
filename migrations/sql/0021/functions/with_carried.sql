CREATE OR REPLACE FUNCTION with_carried(data jsonb, carried jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(data) = 'object' AND jsonb_typeof(carried) = 'object'
    THEN carried || data || coalesce(
        (
            SELECT jsonb_object_agg(c.key, c.value || (data -> c.key))
            FROM jsonb_each(carried) c
            WHERE jsonb_typeof(c.value) = 'object' AND jsonb_typeof(data -> c.key) = 'object'
        ),
        '{}'
    )
    ELSE data
END;
COMMENT ON FUNCTION with_carried(jsonb, jsonb) IS
    'The body of a snapshot with what it carries: values of keys that the body lacks, as the position had them before. What the body says itself stands, null too.';
