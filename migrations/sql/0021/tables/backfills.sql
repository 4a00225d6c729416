CREATE TABLE backfills (
    backfill_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what        text COLLATE "C" NOT NULL CHECK (what IN ('gaps', 'window', 'all')),
    since       timestamptz,
    until       timestamptz,
    state       text COLLATE "C" NOT NULL DEFAULT 'unfinished'
        CHECK (state IN ('unfinished', 'complete', 'given_up')),
    started_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    finished_at timestamptz,
    as_of       timestamptz,
    parts       bigint NOT NULL DEFAULT 1,
    seen        bigint NOT NULL DEFAULT 0,
    repaired    bigint NOT NULL DEFAULT 0,
    unresolved  bigint NOT NULL DEFAULT 0,
    requests    bigint NOT NULL DEFAULT 0,
    run_id      bigint
);
COMMENT ON TABLE backfills IS
    'Each backfill, and how far it has come: one that was interrupted goes on from here.';
COMMENT ON COLUMN backfills.backfill_id IS 'A number to call it by.';
COMMENT ON COLUMN backfills.what IS 'gaps: the gaps that no run had repaired; window: what an operator asked for; all: all history.';
COMMENT ON COLUMN backfills.since IS 'The window''s beginning, without the margin around it; NULL for no bound.';
COMMENT ON COLUMN backfills.until IS 'The window''s end, without the margin around it; NULL for no bound.';
COMMENT ON COLUMN backfills.state IS 'unfinished: it was interrupted, or is under way; complete: all of it was seen; given_up: another was begun in its place.';
COMMENT ON COLUMN backfills.started_at IS 'When its first part began, by our clock.';
COMMENT ON COLUMN backfills.updated_at IS 'When its last page was done, by our clock.';
COMMENT ON COLUMN backfills.finished_at IS 'When it ended, by our clock; NULL while it is unfinished.';
COMMENT ON COLUMN backfills.as_of IS 'The earliest as-of of its responses, by the server''s clock.';
COMMENT ON COLUMN backfills.parts IS 'How many times it was started: one more than it was gone on with.';
COMMENT ON COLUMN backfills.seen IS 'Positions that GET /positions showed, in all its parts.';
COMMENT ON COLUMN backfills.repaired IS 'Positions that were repaired, in all its parts.';
COMMENT ON COLUMN backfills.unresolved IS 'Positions that its last part left different.';
COMMENT ON COLUMN backfills.requests IS 'HTTP requests, in all its parts.';
COMMENT ON COLUMN backfills.run_id IS 'The run of its last part; see reconciliation_runs.';
