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
