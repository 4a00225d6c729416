-- Reconciliation: each run, each difference, and the valuations that come along.

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
    error           text
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

CREATE INDEX reconciliation_runs_state ON reconciliation_runs (state, started_at);

CREATE TABLE discrepancies (
    run_id      bigint NOT NULL,
    position_id text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL
        CHECK (kind IN ('missing', 'stale', 'divergent', 'absent_upstream')),
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
COMMENT ON COLUMN discrepancies.kind IS 'missing: REST has it, the store has not; stale: the store is behind; divergent: same moment, other values; absent_upstream: the store has it live, REST does not know it.';
COMMENT ON COLUMN discrepancies.field IS 'The field, as the wire spells its path; empty where the whole position is concerned.';
COMMENT ON COLUMN discrepancies.store_value IS 'What the store had.';
COMMENT ON COLUMN discrepancies.rest_value IS 'What GET /positions had.';
COMMENT ON COLUMN discrepancies.resolution IS 'repaired: a snapshot was appended; unresolved: it still differs; in_flux: it changed too lately to be judged.';
COMMENT ON COLUMN discrepancies.noticed_at IS 'When it was noticed, by our clock.';

CREATE INDEX discrepancies_run ON discrepancies (run_id);

CREATE TABLE valuations (
    position_id                        text COLLATE "C" PRIMARY KEY,
    as_of                              timestamptz NOT NULL,
    mark_price_usd_pips                bigint,
    position_value_usd_pips            bigint,
    unrealized_pnl_usd_pips            bigint,
    net_unrealized_pnl_usd_pips        bigint,
    health_bps                         bigint,
    current_liquidation_price_usd_pips bigint
);
COMMENT ON TABLE valuations IS
    'The latest valuation of each live position, from GET /positions: what moves with the market, kept out of the log.';
COMMENT ON COLUMN valuations.position_id IS 'The position.';
COMMENT ON COLUMN valuations.as_of IS 'The valuation is at least this new, by the server''s clock. UTC.';
COMMENT ON COLUMN valuations.mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.health_bps IS 'Health; it is liquidated as this reaches 0. In basis points.';
COMMENT ON COLUMN valuations.current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD.';

CREATE TABLE valuation_history (
    LIKE valuations INCLUDING COMMENTS,
    PRIMARY KEY (position_id, as_of)
);
COMMENT ON TABLE valuation_history IS
    'Every valuation that a run brought, while POSITIONSTORE_VALUATION_HISTORY is on.';
