-- A store that Citus spreads over workers.

-- name: workers
-- How many workers take shards, and whether this server is the coordinator.
SELECT count(*) FILTER (WHERE shouldhaveshards AND isactive), citus_is_coordinator()
FROM pg_dist_node;

-- name: known_tables
-- Which tables of the schema Citus has spread or copied already.
SELECT c.relname
FROM pg_dist_partition p
JOIN pg_class c ON c.oid = p.logicalrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace;

-- name: allow_triggers
-- The triggers of the log are on each shard, and look at nothing but the statement.
SET LOCAL citus.enable_unsafe_triggers = on;

-- name: one_connection
-- Statements of this transaction go to the workers one after the other, as some of them have to.
SET LOCAL citus.multi_shard_modify_mode = sequential;

-- name: comments
-- The comments on tables, views and their columns, as statements. Citus creates some of those again,
-- without comments.
SELECT format(
    'COMMENT ON %%s %%I.%%I%%s IS %%L',
    CASE WHEN d.objsubid > 0 THEN 'COLUMN' WHEN c.relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END,
    current_schema(), c.relname, '.' || quote_ident(a.attname), d.description
)
FROM pg_description d
JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'v');

-- name: this_schema_first
-- Functions that are made keep this path; a temporary table does not come before the log in it.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- name: copy_to_all
-- Puts a copy of a small table on each worker.
SELECT create_reference_table({name});

-- name: spread
-- Spreads a table over the workers by position.
SELECT create_distributed_table({name}, 'position_id', colocate_with => {beside});

-- name: drop_local_rows
-- What was in the table before is on the workers now, and still here, unseen.
SELECT truncate_local_data_after_distributing_table({name});

-- name: number_index
-- A key without the position cannot be unique on a table that is spread by position.
DROP INDEX events_seq;
CREATE INDEX events_seq ON events (seq);
COMMENT ON INDEX events_seq IS 'Not unique in a store on Citus: the appenders'' lock sees to it.';

-- name: here_alone
-- What follows changes the coordinator alone.
SET citus.enable_ddl_propagation = off;

-- name: everywhere
-- What follows changes the workers too.
SET citus.enable_ddl_propagation = on;

-- name: rest_triggers
-- Lets the rows that were copied be emptied here.
ALTER TABLE events
    DISABLE TRIGGER events_are_append_only,
    DISABLE TRIGGER events_leave_for_an_archive;

-- name: allow_nested
-- Lets a worker ask the others whether a retraction stands; it sees what is committed.
ALTER DATABASE {database} SET citus.allow_nested_distributed_execution = on;

-- name: compile_nothing
-- A worker would compile the query of each shard, which takes it longer than to run it.
ALTER DATABASE {database} SET jit = off;

-- name: make_on_workers
-- Makes functions on the workers, where a store that was made before Citus has none but what it sees that
-- tables and views need.
SELECT create_distributed_function(p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.proname = ANY (%(names)s);

-- name: definitions
-- The text of some functions of the store.
SELECT pg_get_functiondef(p.oid)
FROM pg_proc p
WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.proname = ANY (%(names)s);

-- name: publish
-- Lets readers of the feed go up to the newest fact.
SELECT publish_watermark();

-- name: lacking_sequence
-- The sequence of quarantine, where a role may not draw of it, or is yet to be made.
SELECT s.name
FROM (SELECT pg_get_serial_sequence('quarantine', 'quarantine_id') AS name) s
LEFT JOIN pg_roles r ON r.rolname = %(role)s
WHERE has_sequence_privilege(r.oid, s.name, 'USAGE') IS NOT TRUE;

-- name: watermark
-- Up to where the feed may be read.
SELECT seq FROM log_watermark;

-- name: shards
-- Of each worker: how many shards of positions it has and how large they are with what stands beside
-- them; and of the log the size of its largest shard.
SELECT
    format('%%s:%%s', s.nodename, s.nodeport) AS worker,
    count(*) FILTER (WHERE c.relname = 'events') AS shards,
    sum(s.shard_size)::bigint AS bytes,
    coalesce(max(s.shard_size) FILTER (WHERE c.relname = 'events'), 0)::bigint AS largest,
    coalesce(sum(s.shard_size) FILTER (WHERE c.relname = 'events'), 0)::bigint AS log_bytes
FROM citus_shards s
JOIN pg_class c ON c.oid = s.table_name
WHERE s.citus_table_type = 'distributed'
    AND c.relnamespace = quote_ident(current_schema())::regnamespace
GROUP BY s.nodename, s.nodeport
ORDER BY 1;

-- name: sizes
-- Bytes on disk, those of the workers included.
SELECT
    pg_database_size(current_database()) + coalesce((
        SELECT sum(result::bigint)
        FROM run_command_on_workers('SELECT pg_database_size(current_database())')
        WHERE success
    ), 0)::bigint AS database,
    citus_total_relation_size('events') AS events,
    citus_total_relation_size('positions') AS positions,
    pg_total_relation_size('quarantine') AS quarantine;

-- name: count_facts
-- How many facts the log has.
SELECT count(*) FROM events;
