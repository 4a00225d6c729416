CREATE TABLE stream_sessions (
    session_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway         text COLLATE "C" NOT NULL CHECK (gateway IN ('partner', 'customer')),
    started_at      timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL CHECK (last_seen_at >= started_at),
    ended_at        timestamptz CHECK (ended_at >= started_at),
    end_reason      text,
    received        bigint NOT NULL DEFAULT 0,
    duplicates      bigint NOT NULL DEFAULT 0,
    quarantined     bigint NOT NULL DEFAULT 0,
    recovered       bigint NOT NULL DEFAULT 0,
    recovered_from  timestamptz,
    recovered_until timestamptz,
    CONSTRAINT stream_sessions_recovered_check
        CHECK ((recovered_from IS NULL) = (recovered_until IS NULL) AND recovered >= 0)
);
COMMENT ON TABLE stream_sessions IS
    'Each connection to a gateway, from its first to its last proof of life.';
COMMENT ON COLUMN stream_sessions.session_id IS 'A number to call it by.';
COMMENT ON COLUMN stream_sessions.gateway IS 'partner or customer.';
COMMENT ON COLUMN stream_sessions.started_at IS 'When the gateway accepted the connection.';
COMMENT ON COLUMN stream_sessions.last_seen_at IS 'The last recorded proof of life: a packet of any kind.';
COMMENT ON COLUMN stream_sessions.ended_at IS 'The last packet received, once the end is known; NULL while it lives or where its process died without a word.';
COMMENT ON COLUMN stream_sessions.end_reason IS 'Why it ended.';
COMMENT ON COLUMN stream_sessions.received IS 'Inputs that came over it, duplicates and quarantined ones included.';
COMMENT ON COLUMN stream_sessions.duplicates IS 'Of these, events that the log had already.';
COMMENT ON COLUMN stream_sessions.quarantined IS 'Of these, inputs that went to quarantine.';
COMMENT ON COLUMN stream_sessions.recovered IS 'Events that the gateway emitted before this session, while no connection was up, and replayed: connection state recovery. They are among received.';
COMMENT ON COLUMN stream_sessions.recovered_from IS 'The last proof of life before the stretch whose events were replayed; NULL where none were asked for, or the gateway no longer had them.';
COMMENT ON COLUMN stream_sessions.recovered_until IS 'When the gateway had replayed all of that stretch.';
