-- The reference tables of the order of facts.

CREATE TABLE position_statuses (
    status      text COLLATE "C" PRIMARY KEY,
    phase       text NOT NULL CHECK (phase IN ('pending', 'live', 'terminal')),
    precedence  integer NOT NULL,
    is_terminal boolean NOT NULL GENERATED ALWAYS AS (phase = 'terminal') STORED,
    description text NOT NULL
);
COMMENT ON TABLE position_statuses IS
    'Every status the vendor gives a position, its phase, and its rank among equals. Add a row for a new status and run positionstore rebuild: the new rule then holds for the whole past.';
COMMENT ON COLUMN position_statuses.status IS 'The status, as the wire spells it.';
COMMENT ON COLUMN position_statuses.phase IS 'pending, live or terminal: by events a position never moves back.';
COMMENT ON COLUMN position_statuses.precedence IS 'Breaks a tie of created_at within a phase; the greater wins. A status without a row counts as live with 0.';
COMMENT ON COLUMN position_statuses.is_terminal IS 'Whether a position with this status has ended.';
COMMENT ON COLUMN position_statuses.description IS 'What the status means.';

INSERT INTO position_statuses (status, phase, precedence, description) VALUES
    ('pending',    'pending',  10, 'Its on-chain account exists; it is not open yet.'),
    ('open',       'live',     20, 'Open: tokens are held.'),
    ('unwinding',  'live',     30, 'Its leverage is being reduced; it stays open.'),
    ('closing',    'live',     40, 'A close was requested.'),
    ('settling',   'live',     50, 'Its market has resolved; the payout is under way.'),
    ('cancelled',  'terminal', 60, 'It never opened; the collateral was refunded.'),
    ('closed',     'terminal', 70, 'Closed; the proceeds were distributed.'),
    ('settled',    'terminal', 80, 'Its market resolved and it was paid out.'),
    ('liquidated', 'terminal', 90, 'Liquidated for insufficient margin.');

CREATE TABLE event_types (
    type        text COLLATE "C" PRIMARY KEY,
    precedence  integer NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE event_types IS
    'Every type of event, and its rank among equals. Add a row for a new type and run positionstore rebuild.';
COMMENT ON COLUMN event_types.type IS 'The type, as the wire spells it; snapshot for what the reconciler appended.';
COMMENT ON COLUMN event_types.precedence IS 'Breaks a tie of created_at and status; the greater wins. A type without a row counts as 0.';
COMMENT ON COLUMN event_types.description IS 'What the event announces.';

INSERT INTO event_types (type, precedence, description) VALUES
    ('position.created',                  10, 'The on-chain position account was created.'),
    ('position.opening',                  20, 'The finalize-open transaction was confirmed: an early signal, before the indexer.'),
    ('position.opened',                   30, 'Finalized on-chain, tokens acquired.'),
    ('position.force_unwound',            40, 'Partially unwound to reduce leverage; it remains open.'),
    ('position.partial_close_requested',  50, 'The user asked to close a part.'),
    ('position.partial_close_initiated',  60, 'Closing a part has begun.'),
    ('position.partial_close_aborted',    70, 'Closing a part was given up.'),
    ('position.partial_closed',           80, 'A part was closed; the rest remains open.'),
    ('position.settlement_state_changed', 90, 'The state of the settlement changed; it can go back to none.'),
    ('position.close_requested',         100, 'The user asked to close.'),
    ('position.closed',                  110, 'Close finalized, proceeds distributed.'),
    ('position.settled',                 120, 'The market resolved and the position was settled.'),
    ('position.liquidated',              130, 'Liquidated for insufficient margin.'),
    ('position.reverted',                140, 'The opening failed; the collateral was refunded.'),
    ('position.cancelled',               150, 'Cancelled before opening.'),
    ('snapshot',                         160, 'The position as GET /positions returned it, appended to repair a difference.');
