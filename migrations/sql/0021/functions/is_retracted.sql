CREATE OR REPLACE FUNCTION is_retracted(
    of_position text,
    of_fact text,
    known_at timestamptz DEFAULT 'infinity',
    depth integer DEFAULT 0
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    -- A retraction names one fact, so those that lead to a fact form a tree with it as the root.
    -- The bound keeps a chain that no operator makes from exhausting the server's stack.
    RETURN depth < 100 AND EXISTS (
        SELECT FROM events r
        WHERE r.position_id = of_position AND r.retracts = of_fact
            AND r.received_at <= is_retracted.known_at
            AND NOT is_retracted(of_position, r.event_id, is_retracted.known_at, depth + 1)
    );
END
$$;
COMMENT ON FUNCTION is_retracted(text, text, timestamptz, integer) IS
    'Whether a fact of a position does not count: whether a retraction names it that is not retracted itself, of those received by known_at. depth is how many links of a chain of retractions lead to it from the fact in question; a chain is followed for 100.';
