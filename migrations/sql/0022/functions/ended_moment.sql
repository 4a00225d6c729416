-- Inlined where it is called: facts are read only where the body does not tell.
CREATE OR REPLACE FUNCTION ended_moment(
    position_id text,
    status text,
    phase text,
    told timestamptz,
    known_at timestamptz DEFAULT 'infinity'
) RETURNS position_moment
LANGUAGE sql STABLE
RETURN CASE
    WHEN phase <> 'terminal' THEN NULL::position_moment
    WHEN told IS NOT NULL THEN ROW(told, 'body')::position_moment
    ELSE ended_by_facts(position_id, status, known_at)
END;
COMMENT ON FUNCTION ended_moment(text, text, text, timestamptz, timestamptz) IS
    'The one definition of when a position ended: what its body tells (told: result.closed_at), else what its facts show (ended_by_facts). NULL until it has ended. position_lifecycle, closed_positions, daily_activity and the functions over the book all use it.';
