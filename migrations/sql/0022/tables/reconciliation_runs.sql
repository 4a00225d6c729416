ALTER TABLE reconciliation_runs
    ADD COLUMN duration_seconds numeric(18,6)
        GENERATED ALWAYS AS (extract(epoch FROM finished_at - started_at)) STORED,
    ADD COLUMN clock_offset_seconds numeric(18,6)
        GENERATED ALWAYS AS (extract(epoch FROM clock_offset)) STORED;
COMMENT ON COLUMN reconciliation_runs.duration_seconds IS 'duration in seconds, exact.';
COMMENT ON COLUMN reconciliation_runs.clock_offset_seconds IS 'clock_offset in seconds, exact.';
