CREATE TYPE fact_rank AS (
    phase             integer,
    created_at        timestamptz,
    status_precedence integer,
    type_precedence   integer,
    event_id          text COLLATE "C"
);
COMMENT ON TYPE fact_rank IS
    'Where a fact stands in the order of facts; the greater wins. PostgreSQL compares it field by field, in this order.';
COMMENT ON COLUMN fact_rank.phase IS '0 pending, 1 live, 2 terminal.';
COMMENT ON COLUMN fact_rank.created_at IS 'When the vendor emitted the event; of a snapshot its as-of.';
COMMENT ON COLUMN fact_rank.status_precedence IS 'The precedence of its status; 0 where position_statuses has no row.';
COMMENT ON COLUMN fact_rank.type_precedence IS 'The precedence of its type; 0 where event_types has no row.';
COMMENT ON COLUMN fact_rank.event_id IS 'Breaks the last tie, by its bytes.';
