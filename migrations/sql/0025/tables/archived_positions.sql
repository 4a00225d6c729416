ALTER TABLE archived_positions ADD COLUMN digest text;
COMMENT ON COLUMN archived_positions.digest IS 'Digest of these facts: SHA-256 over their fact_digest in the order of seq, in hex. Only facts that have it with those that stayed could leave the log. NULL where they left before it was recorded.';
