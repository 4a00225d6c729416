-- Which engine is under the store.

-- name: has_citus
-- Whether Citus is in this database.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus');

-- name: is_distributed
-- Whether the store is spread over workers: then it has the table that readers of the log go by.
-- Without Citus a relation of that name belongs to something else.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AND EXISTS (
    SELECT FROM pg_class
    WHERE relname = 'log_watermark' AND relnamespace = quote_ident(current_schema())::regnamespace
);
