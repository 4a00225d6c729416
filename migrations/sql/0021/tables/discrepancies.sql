CREATE TABLE discrepancies (
    run_id      bigint NOT NULL,
    position_id text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL
        CHECK (kind IN ('missing', 'stale', 'divergent', 'absent_upstream', 'unreadable')),
    field       text COLLATE "C" NOT NULL DEFAULT '',
    store_value text,
    rest_value  text,
    resolution  text COLLATE "C" NOT NULL
        CHECK (resolution IN ('repaired', 'unresolved', 'in_flux')),
    noticed_at  timestamptz NOT NULL,
    PRIMARY KEY (position_id, run_id, field)
);
COMMENT ON TABLE discrepancies IS
    'Each difference of durable fields between the store and GET /positions, as a run found it.';
COMMENT ON COLUMN discrepancies.run_id IS 'The run that found it; see reconciliation_runs.';
COMMENT ON COLUMN discrepancies.position_id IS 'The position.';
COMMENT ON COLUMN discrepancies.kind IS 'missing: REST has it, the store has not; stale: the store is behind; divergent: same moment, other values; absent_upstream: the store has it live, REST does not know it; unreadable: the store has it live, and what REST answers for it is no position.';
COMMENT ON COLUMN discrepancies.field IS 'The field, as the wire spells its path; empty where the whole position is concerned.';
COMMENT ON COLUMN discrepancies.store_value IS 'What the store had.';
COMMENT ON COLUMN discrepancies.rest_value IS 'What GET /positions had.';
COMMENT ON COLUMN discrepancies.resolution IS 'repaired: a snapshot was appended; unresolved: it still differs; in_flux: it changed too lately to be judged.';
COMMENT ON COLUMN discrepancies.noticed_at IS 'When it was noticed, by our clock.';

CREATE INDEX discrepancies_run ON discrepancies (run_id);
