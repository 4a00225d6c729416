CREATE TABLE archives (
    archive_id        text COLLATE "C" PRIMARY KEY,
    file              text NOT NULL,
    sha256            text NOT NULL,
    digest            text NOT NULL,
    ended_before      timestamptz NOT NULL,
    positions         bigint NOT NULL,
    facts             bigint NOT NULL,
    first_seq         bigint NOT NULL,
    last_seq          bigint NOT NULL,
    first_created_at  timestamptz NOT NULL,
    last_created_at   timestamptz NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL,
    archived_at       timestamptz NOT NULL,
    restored_at       timestamptz
);
COMMENT ON TABLE archives IS
    'Each file that facts were moved to by positionstore archive. The log says the same in a fact with the same id.';
COMMENT ON COLUMN archives.archive_id IS 'The event_id of the fact of the log that says so (arc_...).';
COMMENT ON COLUMN archives.file IS 'The name that the file was given; where it is kept is the operator''s affair.';
COMMENT ON COLUMN archives.sha256 IS 'SHA-256 of the file''s bytes, as it was written.';
COMMENT ON COLUMN archives.digest IS 'Digest of the facts in it: SHA-256 over their fact_digest in the order of seq. It stays when another tool rewrites the file.';
COMMENT ON COLUMN archives.ended_before IS 'The moment that was given: all facts of these positions were created and received before it. UTC.';
COMMENT ON COLUMN archives.positions IS 'How many positions are in the file, each with all its facts.';
COMMENT ON COLUMN archives.facts IS 'How many facts are in the file; the few that the fold needs are in the log, too.';
COMMENT ON COLUMN archives.first_seq IS 'The least seq in the file.';
COMMENT ON COLUMN archives.last_seq IS 'The greatest seq in the file.';
COMMENT ON COLUMN archives.first_created_at IS 'The earliest created_at in the file. UTC.';
COMMENT ON COLUMN archives.last_created_at IS 'The latest created_at in the file. UTC.';
COMMENT ON COLUMN archives.first_received_at IS 'The earliest received_at in the file. UTC.';
COMMENT ON COLUMN archives.last_received_at IS 'The latest received_at in the file. UTC.';
COMMENT ON COLUMN archives.archived_at IS 'When the facts left the log. UTC.';
COMMENT ON COLUMN archives.restored_at IS 'When positionstore import brought them back; NULL while they are away. UTC.';
