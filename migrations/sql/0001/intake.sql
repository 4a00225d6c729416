-- What stands beside the log: quarantine, stream sessions, the store's identity.

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
COMMENT ON COLUMN quarantine.digest IS 'SHA-256 of raw: the same input is kept once a reason.';
COMMENT ON COLUMN quarantine.reason IS 'What is wrong with it, for programs (not_json, bad_created_at, conflicting_duplicate, ...).';
COMMENT ON COLUMN quarantine.detail IS 'What is wrong with it, for people.';
COMMENT ON COLUMN quarantine.source IS 'The door it came through: partner, customer, import or rest.';
COMMENT ON COLUMN quarantine.received_at IS 'When it first reached positionstore.';
COMMENT ON COLUMN quarantine.raw IS 'The bytes as they came.';
COMMENT ON COLUMN quarantine.released_at IS 'When a retry understood it and appended it to the log; NULL while it waits.';

CREATE TABLE stream_sessions (
    session_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway      text COLLATE "C" NOT NULL CHECK (gateway IN ('partner', 'customer')),
    started_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL CHECK (last_seen_at >= started_at),
    ended_at     timestamptz CHECK (ended_at >= started_at),
    end_reason   text,
    received     bigint NOT NULL DEFAULT 0,
    duplicates   bigint NOT NULL DEFAULT 0,
    quarantined  bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE stream_sessions IS 'Each connection to a gateway, from its first to its last proof of life.';
COMMENT ON COLUMN stream_sessions.session_id IS 'A number to call it by.';
COMMENT ON COLUMN stream_sessions.gateway IS 'partner or customer.';
COMMENT ON COLUMN stream_sessions.started_at IS 'When the gateway accepted the connection.';
COMMENT ON COLUMN stream_sessions.last_seen_at IS 'The last recorded proof of life: a packet of any kind.';
COMMENT ON COLUMN stream_sessions.ended_at IS 'The last packet received, once the end is known; NULL while it lives or where its process died without a word.';
COMMENT ON COLUMN stream_sessions.end_reason IS 'Why it ended.';
COMMENT ON COLUMN stream_sessions.received IS 'Inputs that came over it, duplicates and quarantined ones included.';
COMMENT ON COLUMN stream_sessions.duplicates IS 'Of these, events that the log had already.';
COMMENT ON COLUMN stream_sessions.quarantined IS 'Of these, inputs that went to quarantine.';

CREATE TABLE store_identity (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    environment text NOT NULL CHECK (environment IN ('production', 'sandbox')),
    claimed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE store_identity IS
    'The environment whose data this store holds: one database holds one environment.';
COMMENT ON COLUMN store_identity.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN store_identity.environment IS 'production or sandbox, set by the first connection to a gateway.';
COMMENT ON COLUMN store_identity.claimed_at IS 'When it was set.';
