-- A position that cannot be read from GET /positions is a finding of a kind of its own.
ALTER TABLE discrepancies
    DROP CONSTRAINT discrepancies_kind_check,
    ADD CONSTRAINT discrepancies_kind_check
        CHECK (kind IN ('missing', 'stale', 'divergent', 'absent_upstream', 'unreadable'));
COMMENT ON COLUMN discrepancies.kind IS 'missing: REST has it, the store has not; stale: the store is behind; divergent: same moment, other values; absent_upstream: the store has it live, REST does not know it; unreadable: the store has it live, and what REST answers for it is no position.';
