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
    ('snapshot',                         160, 'The position as GET /positions returned it, appended to repair a difference.'),
    ('retraction',                         0, 'An operator''s statement that a fact is wrong. It has no status and takes no part in the order.'),
    ('archive',                            0, 'Facts of positions that ended long ago were moved to a file. It names no position and takes no part in the order.'),
    ('restoration',                        0, 'Facts that were in an archive are back in the log. It names no position and takes no part in the order.');
