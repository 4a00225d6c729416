-- Inlined where it is called: facts are read only where the body does not tell.
CREATE OR REPLACE FUNCTION opened_moment(
    position_id text,
    phase text,
    told timestamptz,
    known_at timestamptz DEFAULT 'infinity'
) RETURNS position_moment
LANGUAGE sql STABLE
RETURN CASE
    WHEN phase = 'pending' THEN NULL::position_moment
    WHEN told IS NOT NULL THEN ROW(told, 'body')::position_moment
    ELSE opened_by_facts(position_id, known_at)
END;
COMMENT ON FUNCTION opened_moment(text, text, timestamptz, timestamptz) IS
    'The one definition of when a position opened: what its body tells (told: entry.opened_at), else what its facts show (opened_by_facts). NULL while it is pending, and where it never opened. One that opened and was then reverted did open. position_lifecycle, open_positions, closed_positions, daily_activity and the functions over the book all use it.';
