CREATE TABLE archived_positions (
    position_id       text COLLATE "C" PRIMARY KEY,
    archive_id        text COLLATE "C" NOT NULL REFERENCES archives (archive_id),
    facts             bigint NOT NULL,
    first_created_at  timestamptz NOT NULL,
    last_created_at   timestamptz NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL
);
COMMENT ON TABLE archived_positions IS
    'The positions whose facts are in an archive now. Their rows in positions stay, and so does the fact that each row shows.';
COMMENT ON COLUMN archived_positions.position_id IS 'The position.';
COMMENT ON COLUMN archived_positions.archive_id IS 'The archive that has all its facts.';
COMMENT ON COLUMN archived_positions.facts IS 'How many facts of it are in the archive.';
COMMENT ON COLUMN archived_positions.first_created_at IS 'The earliest created_at of these facts. UTC.';
COMMENT ON COLUMN archived_positions.last_created_at IS 'The latest created_at of these facts: as of then and later the book needs no archive. UTC.';
COMMENT ON COLUMN archived_positions.first_received_at IS 'The earliest received_at of these facts. UTC.';
COMMENT ON COLUMN archived_positions.last_received_at IS 'The latest received_at of these facts. UTC.';

CREATE INDEX archived_positions_archive ON archived_positions (archive_id);
