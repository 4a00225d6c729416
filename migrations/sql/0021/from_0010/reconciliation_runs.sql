-- The server's clock is known from run to run.
ALTER TABLE reconciliation_runs ADD COLUMN clock_offset interval;
COMMENT ON COLUMN reconciliation_runs.clock_offset IS 'How far the server''s clock was ahead of ours, from the Date of its answers, in whole seconds or so; negative where it was behind. NULL where no answer had one, or where they did not agree.';
