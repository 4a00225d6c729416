CREATE OR REPLACE FUNCTION changed_fields(before jsonb, after jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF before IS NULL OR after IS NULL THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(before) <> 'object' OR jsonb_typeof(after) <> 'object' THEN
        RETURN CASE WHEN before = after THEN '{}' ELSE '{""}' END;
    END IF;
    RETURN ARRAY(
        SELECT concat_ws('.', top.key, inside.key)
        FROM (
            SELECT key, b.value AS was, a.value AS became
            FROM jsonb_each(before) b FULL JOIN jsonb_each(after) a USING (key)
        ) top
        LEFT JOIN LATERAL (
            -- A section that came or went is told field by field, too.
            SELECT key, b.value AS was, a.value AS became
            FROM jsonb_each(CASE WHEN jsonb_typeof(top.was) = 'object' THEN top.was ELSE '{}' END) b
            FULL JOIN jsonb_each(
                CASE WHEN jsonb_typeof(top.became) = 'object' THEN top.became ELSE '{}' END
            ) a USING (key)
            WHERE coalesce(jsonb_typeof(top.was), 'object') = 'object'
                AND coalesce(jsonb_typeof(top.became), 'object') = 'object'
        ) inside ON true
        WHERE CASE
                WHEN inside.key IS NULL THEN top.was IS DISTINCT FROM top.became
                ELSE inside.was IS DISTINCT FROM inside.became
            END
        ORDER BY concat_ws('.', top.key, inside.key) COLLATE "C"
    );
END
$$;
COMMENT ON FUNCTION changed_fields(jsonb, jsonb) IS
    'The fields in which two position objects differ, as the wire spells their paths (entry.price_usd_pips), unknown ones too; NULL where there are not two.';
