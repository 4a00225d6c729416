-- Inlined where it is called. A view that took the column itself would keep Citus from adding a worker.
CREATE OR REPLACE FUNCTION moment_at(moment position_moment) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (moment).at;
COMMENT ON FUNCTION moment_at(position_moment) IS
    'The moment of what opened_moment and ended_moment return: their column at.';
