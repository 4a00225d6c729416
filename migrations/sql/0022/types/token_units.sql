CREATE DOMAIN token_units AS numeric(38,0);
COMMENT ON DOMAIN token_units IS
    'A whole number of a token''s smallest units in the rows of a function; see usd.';
