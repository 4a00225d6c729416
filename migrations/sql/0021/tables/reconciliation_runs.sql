CREATE TABLE reconciliation_runs (
    run_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trigger         text COLLATE "C" NOT NULL,
    scope           text COLLATE "C" NOT NULL CHECK (scope IN ('recent', 'full', 'window')),
    closed_since    timestamptz,
    closed_until    timestamptz,
    reach           text COLLATE "C" CHECK (reach IN ('partner', 'wallets')),
    state           text COLLATE "C" NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'complete', 'partial', 'failed')),
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    as_of           timestamptz,
    seen            bigint NOT NULL DEFAULT 0,
    missing         bigint NOT NULL DEFAULT 0,
    stale           bigint NOT NULL DEFAULT 0,
    divergent       bigint NOT NULL DEFAULT 0,
    absent_upstream bigint NOT NULL DEFAULT 0,
    repaired        bigint NOT NULL DEFAULT 0,
    unresolved      bigint NOT NULL DEFAULT 0,
    requests        bigint NOT NULL DEFAULT 0,
    retries         bigint NOT NULL DEFAULT 0,
    duration        interval GENERATED ALWAYS AS (finished_at - started_at) STORED,
    error           text,
    clock_offset    interval
);
COMMENT ON TABLE reconciliation_runs IS
    'Each run of the reconciler: what it compared with GET /positions, what differed, what it repaired.';
COMMENT ON COLUMN reconciliation_runs.run_id IS 'A number to call it by.';
COMMENT ON COLUMN reconciliation_runs.trigger IS 'What started it: command, connected, periodic, daily, nightly or backfill.';
COMMENT ON COLUMN reconciliation_runs.scope IS 'recent: active positions and those that ended lately; full: all; window: active ones and those that ended in a window.';
COMMENT ON COLUMN reconciliation_runs.closed_since IS 'Ended positions were walked back to this moment; NULL for all of them.';
COMMENT ON COLUMN reconciliation_runs.closed_until IS 'Ended positions were walked up to this moment; NULL for no such bound.';
COMMENT ON COLUMN reconciliation_runs.reach IS 'partner: the API key listed all positions; wallets: each known wallet was listed with a token of its own. NULL until known.';
COMMENT ON COLUMN reconciliation_runs.state IS 'running; complete: all of its scope was seen; partial: an error hid a part of it; failed: it came to nothing.';
COMMENT ON COLUMN reconciliation_runs.started_at IS 'When it began, before its first request, by our clock.';
COMMENT ON COLUMN reconciliation_runs.finished_at IS 'When it ended; NULL while it runs, or where its process died.';
COMMENT ON COLUMN reconciliation_runs.as_of IS 'The earliest as-of of its responses, by the server''s clock: what it saw is at least this new.';
COMMENT ON COLUMN reconciliation_runs.seen IS 'Positions that GET /positions showed.';
COMMENT ON COLUMN reconciliation_runs.missing IS 'Positions that REST had and the store had not.';
COMMENT ON COLUMN reconciliation_runs.stale IS 'Positions of which the store was behind.';
COMMENT ON COLUMN reconciliation_runs.divergent IS 'Positions with other values at the same moment.';
COMMENT ON COLUMN reconciliation_runs.absent_upstream IS 'Positions that the store has live and REST does not know.';
COMMENT ON COLUMN reconciliation_runs.repaired IS 'Positions that were repaired, by appending a snapshot.';
COMMENT ON COLUMN reconciliation_runs.unresolved IS 'Positions that still differ after the run.';
COMMENT ON COLUMN reconciliation_runs.requests IS 'HTTP requests it made, retries included.';
COMMENT ON COLUMN reconciliation_runs.retries IS 'Of these, repetitions after an error.';
COMMENT ON COLUMN reconciliation_runs.duration IS 'finished_at less started_at.';
COMMENT ON COLUMN reconciliation_runs.error IS 'What it did not see, and why; NULL for a complete run.';
COMMENT ON COLUMN reconciliation_runs.clock_offset IS 'How far the server''s clock was ahead of ours, from the Date of its answers, in whole seconds or so; negative where it was behind. NULL where no answer had one, or where they did not agree.';

CREATE INDEX reconciliation_runs_state ON reconciliation_runs (state, started_at);
