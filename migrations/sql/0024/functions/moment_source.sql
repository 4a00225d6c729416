-- Inlined where it is called. A view that took the column itself would keep Citus from adding a worker.
CREATE OR REPLACE FUNCTION moment_source(moment position_moment) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (moment).source;
COMMENT ON FUNCTION moment_source(position_moment) IS
    'Where that moment is known from, of what opened_moment and ended_moment return: their column source.';
