CREATE TABLE store_identity (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    environment text NOT NULL CHECK (environment IN ('production', 'sandbox')),
    claimed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE store_identity IS
    'The environment whose data this store holds: one database holds one environment.';
COMMENT ON COLUMN store_identity.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN store_identity.environment IS 'production or sandbox, set by the first connection to a gateway.';
COMMENT ON COLUMN store_identity.claimed_at IS 'When it was set.';
