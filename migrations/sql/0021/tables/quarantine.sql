CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    digest        bytea NOT NULL,
    reason        text COLLATE "C" NOT NULL,
    detail        text NOT NULL,
    source        text COLLATE "C" NOT NULL,
    received_at   timestamptz NOT NULL,
    raw           bytea NOT NULL,
    released_at   timestamptz,
    PRIMARY KEY (digest, reason)
);
COMMENT ON TABLE quarantine IS
    'Inputs that could not be understood, whole. positionstore quarantine list shows them, retry tries them again.';
COMMENT ON COLUMN quarantine.quarantine_id IS 'A number to call it by.';
COMMENT ON COLUMN quarantine.digest IS 'SHA-256 of raw, or of the whole line that raw is the beginning of (too_long): the same input is kept once a reason.';
COMMENT ON COLUMN quarantine.reason IS 'What is wrong with it, for programs (not_json, bad_created_at, conflicting_duplicate, ...).';
COMMENT ON COLUMN quarantine.detail IS 'What is wrong with it, for people.';
COMMENT ON COLUMN quarantine.source IS 'The door it came through: partner, customer, import or rest.';
COMMENT ON COLUMN quarantine.received_at IS 'When it first reached positionstore.';
COMMENT ON COLUMN quarantine.raw IS 'The bytes as they came.';
COMMENT ON COLUMN quarantine.released_at IS 'When a retry understood it and appended it to the log; NULL while it waits.';
