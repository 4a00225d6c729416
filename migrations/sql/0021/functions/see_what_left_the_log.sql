CREATE OR REPLACE FUNCTION see_what_left_the_log() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
-- One look-up by key a position, whatever the planner thinks of their number.
SET enable_seqscan = off
AS $$
DECLARE
    recorded archives[] := ARRAY(
        SELECT a FROM archives a
        WHERE a.xmin = pg_current_xact_id()::xid AND a.restored_at IS NULL
    );
    ids text[];
    number bigint;
    found_digest text;
    fault text;
BEGIN
    IF NOT EXISTS (SELECT FROM gone) THEN
        RETURN NULL;
    END IF;
    IF cardinality(recorded) <> 1 THEN
        fault := 'a transaction archives once';
    ELSE
        ids := ARRAY(
            SELECT m.position_id FROM archived_positions m
            WHERE m.archive_id = recorded[1].archive_id
        );
        -- The facts that left and those that stay are together what the file holds.
        SELECT
            count(*),
            encode(sha256(string_agg(
                fact_digest(
                    w.seq, w.event_id, w.position_id, w.type, w.status, w.created_at,
                    w.received_at, w.source, w.supersedes_before, w.envelope, w.retracts
                ),
                '' ORDER BY w.seq
            )), 'hex')
        INTO number, found_digest
        FROM (
            SELECT * FROM gone
            UNION ALL
            SELECT * FROM events e WHERE e.position_id = ANY (ids)
        ) w;
        IF (number, found_digest) IS DISTINCT FROM (recorded[1].facts, recorded[1].digest) THEN
            fault := 'they are not the facts of the archive that is recorded';
        ELSIF EXISTS (
            SELECT FROM positions p
            LEFT JOIN fold_facts(ids) f ON f.position_id = p.position_id
            LEFT JOIN LATERAL (
                SELECT e.seq FROM events e
                WHERE e.position_id = p.position_id AND e.event_id = p.last_event_id
                OFFSET 0
            ) e ON true
            WHERE p.position_id = ANY (ids)
                AND (
                    p.phase <> 'terminal' OR f.seq IS DISTINCT FROM e.seq
                    OR f.supersedes_before IS DISTINCT FROM p.supersedes_before
                )
        ) OR EXISTS (SELECT FROM gone g WHERE g.retracts IS NOT NULL) THEN
            fault := 'the fold of a position would be another';
        END IF;
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'The log is append-only: DELETE of events is refused: %.', fault
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Facts are moved out of the log by positionstore archive alone.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION see_what_left_the_log() IS
    'Lets a DELETE of the log stand only where the facts that left are those of the one archive that this transaction records, to the digest, and the fold of each position stays what it is.';
