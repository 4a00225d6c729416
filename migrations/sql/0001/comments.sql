-- Comments that are not said where their object is made.

COMMENT ON TABLE alembic_version IS 'The version of the schema. Written by positionstore migrate alone.';
COMMENT ON COLUMN alembic_version.version_num IS 'The last migration that was applied.';

COMMENT ON COLUMN fact_rank.phase IS '0 pending, 1 live, 2 terminal.';
COMMENT ON COLUMN fact_rank.created_at IS 'When the vendor emitted the event; of a snapshot its as-of.';
COMMENT ON COLUMN fact_rank.status_precedence IS 'The precedence of its status; 0 where position_statuses has no row.';
COMMENT ON COLUMN fact_rank.type_precedence IS 'The precedence of its type; 0 where event_types has no row.';
COMMENT ON COLUMN fact_rank.event_id IS 'Breaks the last tie, by its bytes.';

-- A column of a view means what the column of the same name means in the table that it comes from.
DO $$
DECLARE
    uncommented record;
BEGIN
    FOR uncommented IN
        SELECT v.attrelid::regclass AS view, v.attname AS name,
            col_description(t.attrelid, t.attnum) AS meaning
        FROM (
            VALUES ('ranked_facts'::regclass, 'events'::regclass),
                ('fact_positions', 'positions'), ('fact_positions', 'events')
        ) AS made (view, source)
        JOIN pg_attribute v ON v.attrelid = made.view
        JOIN pg_attribute t ON t.attrelid = made.source AND t.attname = v.attname
        WHERE v.attnum > 0 AND col_description(v.attrelid, v.attnum) IS NULL
        ORDER BY made.source = 'positions'::regclass -- the last one stands
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN %s.%I IS %L', uncommented.view, uncommented.name, uncommented.meaning
        );
    END LOOP;
END
$$;
