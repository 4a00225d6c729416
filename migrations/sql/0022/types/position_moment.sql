CREATE TYPE position_moment AS (
    at     timestamptz,
    source text
);
COMMENT ON TYPE position_moment IS
    'When something happened to a position, and where that is known from.';
COMMENT ON COLUMN position_moment.at IS 'The moment. UTC.';
COMMENT ON COLUMN position_moment.source IS
    'body: what the position object says; event: the created_at of the event that shows it; snapshot: the as-of of the first snapshot that shows it, so it happened by then; archive: it is not known, for facts are in an archive that tell it.';
