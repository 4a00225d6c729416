CREATE OR REPLACE FUNCTION usd_from_pips(pips numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE -- and set into the query that calls it, as no SET clause stands here
RETURN CASE WHEN abs(pips) < 1e24 THEN pips * 0.0001 END;
COMMENT ON FUNCTION usd_from_pips(numeric) IS
    'A sum of pips in USD, exact; NULL where numeric(24,4) does not hold it. A function cannot say how many digits its result has: write usd_from_pips(sum(x))::numeric(24,4).';
