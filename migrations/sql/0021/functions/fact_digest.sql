CREATE OR REPLACE FUNCTION fact_digest(
    seq bigint,
    event_id text,
    position_id text,
    type text,
    status text,
    created_at timestamptz,
    received_at timestamptz,
    source text,
    supersedes_before timestamptz,
    envelope json,
    retracts text
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE -- and set into the query that calls it, as no SET clause stands here
RETURN sha256(convert_to(
    coalesce(octet_length(seq::text) || ':' || seq || ',', '-,')
    || coalesce(octet_length(event_id) || ':' || event_id || ',', '-,')
    || coalesce(octet_length(position_id) || ':' || position_id || ',', '-,')
    || coalesce(octet_length(type) || ':' || type || ',', '-,')
    || coalesce(octet_length(status) || ':' || status || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM created_at) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM created_at) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM received_at) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM received_at) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length(source) || ':' || source || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM supersedes_before) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM supersedes_before) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length(envelope::text) || ':' || envelope::text || ',', '-,')
    || coalesce(octet_length(retracts) || ':' || retracts || ',', '-,'),
    'UTF8'
));
COMMENT ON FUNCTION fact_digest(bigint, text, text, text, text, timestamptz, timestamptz, text, timestamptz, json, text) IS
    'SHA-256 of one fact, every column of it: the values in the order of the table''s columns as netstrings (length in bytes, a colon, the value, a comma; NULL is a minus and a comma), moments as microseconds since 1970.';
