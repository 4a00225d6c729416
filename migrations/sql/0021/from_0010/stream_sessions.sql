-- What was fetched of an outage, by connection state recovery.
ALTER TABLE stream_sessions
    ADD COLUMN recovered bigint NOT NULL DEFAULT 0,
    ADD COLUMN recovered_from timestamptz,
    ADD COLUMN recovered_until timestamptz,
    ADD CONSTRAINT stream_sessions_recovered_check
        CHECK ((recovered_from IS NULL) = (recovered_until IS NULL) AND recovered >= 0);
COMMENT ON COLUMN stream_sessions.recovered IS 'Events that the gateway emitted before this session, while no connection was up, and replayed: connection state recovery. They are among received.';
COMMENT ON COLUMN stream_sessions.recovered_from IS 'The last proof of life before the stretch whose events were replayed; NULL where none were asked for, or the gateway no longer had them.';
COMMENT ON COLUMN stream_sessions.recovered_until IS 'When the gateway had replayed all of that stretch.';
