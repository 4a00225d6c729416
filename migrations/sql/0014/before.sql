-- The kinds of before; what was found of the new one becomes the nearest of them.

UPDATE discrepancies SET kind = 'absent_upstream' WHERE kind = 'unreadable';
ALTER TABLE discrepancies DROP CONSTRAINT discrepancies_kind_check;
ALTER TABLE discrepancies ADD CONSTRAINT discrepancies_kind_check
    CHECK (kind IN ('missing', 'stale', 'divergent', 'absent_upstream'));
COMMENT ON COLUMN discrepancies.kind IS 'missing: REST has it, the store has not; stale: the store is behind; divergent: same moment, other values; absent_upstream: the store has it live, REST does not know it.';
