-- On the coordinator alone.
CREATE TABLE IF NOT EXISTS log_watermark (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint NOT NULL
);
COMMENT ON TABLE log_watermark IS
    'Up to where the log may be read as a feed: every worker shows each fact up to there. Only in a store on Citus.';
COMMENT ON COLUMN log_watermark.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN log_watermark.seq IS 'The last seq that a reader may take for complete; see events_after.';
INSERT INTO log_watermark (seq) SELECT coalesce(max(seq), 0) FROM events ON CONFLICT DO NOTHING;
