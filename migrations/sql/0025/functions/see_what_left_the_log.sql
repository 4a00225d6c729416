CREATE OR REPLACE FUNCTION see_what_left_the_log() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
-- One look-up by key a position, whatever the planner thinks of their number.
SET enable_seqscan = off
AS $$
DECLARE
    ids text[] := ARRAY(SELECT DISTINCT g.position_id FROM gone g);
    -- Of each table the columns that are needed: on a worker of Citus no table of it can be joined with
    -- the facts that left.
    marked text[];
    digests text[];
    statuses text[];
    phases text[];
    status_precedences integer[];
    types text[];
    type_precedences integer[];
    refused text;
    fault text;
BEGIN
    IF ids = '{}' THEN
        RETURN NULL;
    END IF;
    -- With one snapshot for all of it a fact that came since would not be seen.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'The log is append-only: DELETE of events is refused: the transaction is not read committed.'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Facts are moved out of the log by positionstore archive alone.';
    END IF;
    SELECT array_agg(m.position_id), array_agg(m.digest) INTO marked, digests
    FROM archived_positions m
    JOIN archives a ON a.archive_id = m.archive_id
    WHERE m.position_id = ANY (ids) AND m.position_id <> '' AND a.restored_at IS NULL;
    SELECT array_agg(s.status), array_agg(s.phase), array_agg(s.precedence)
    INTO statuses, phases, status_precedences
    FROM position_statuses s;
    SELECT array_agg(t.type), array_agg(t.precedence) INTO types, type_precedences FROM event_types t;
    -- By position, and in the table of the trigger: where workers share the log that is a shard, which
    -- has all facts of its positions and sees no other.
    EXECUTE format(
        $look$
        WITH whole AS MATERIALIZED (
            SELECT g.*, true AS has_left FROM gone g
            UNION ALL
            SELECT e.*, false FROM %s e WHERE e.position_id = ANY ($1)
        ),
        archived AS (
            SELECT w.position_id
            FROM whole w
            JOIN unnest($2, $3) m (position_id, digest) ON m.position_id = w.position_id
            GROUP BY w.position_id, m.digest
            HAVING m.digest = encode(sha256(string_agg(
                fact_digest(
                    w.seq, w.event_id, w.position_id, w.type, w.status, w.created_at,
                    w.received_at, w.source, w.supersedes_before, w.envelope, w.retracts
                ),
                '' ORDER BY w.seq
            )), 'hex')
        ),
        -- The fold of all of them, as fold_facts has it: what it needs has to stay.
        counted AS MATERIALIZED (
            SELECT
                w.position_id, w.seq, w.created_at, w.supersedes_before, w.has_left, s.phase,
                rank_of_fact(s.phase, w.created_at, s.precedence, t.precedence, w.event_id) AS rank
            FROM whole w
            LEFT JOIN unnest($4, $5, $6) s (status, phase, precedence) ON s.status = w.status
            LEFT JOIN unnest($7, $8) t (type, precedence) ON t.type = w.type
            WHERE w.status IS NOT NULL
                AND CASE
                        WHEN EXISTS (
                            SELECT FROM whole r
                            WHERE r.position_id = w.position_id AND r.retracts = w.event_id
                        ) THEN NOT is_retracted(w.position_id, w.event_id)
                        ELSE true
                    END
        ),
        latest_snapshot AS (
            SELECT DISTINCT ON (c.position_id)
                c.position_id, c.seq, c.supersedes_before, c.has_left
            FROM counted c
            WHERE c.supersedes_before IS NOT NULL
            ORDER BY c.position_id, c.created_at DESC, c.rank DESC
        ),
        shown AS (
            SELECT DISTINCT ON (c.position_id)
                c.position_id, c.phase, c.has_left OR coalesce(s.has_left, false) AS has_left
            FROM counted c
            LEFT JOIN latest_snapshot s ON s.position_id = c.position_id
            WHERE CASE
                    WHEN c.supersedes_before IS NOT NULL THEN c.seq = s.seq
                    WHEN s.seq IS NOT NULL THEN c.created_at > s.supersedes_before
                    ELSE true
                END
            ORDER BY c.position_id, c.rank DESC
        )
        SELECT
            i.position_id,
            CASE WHEN a.position_id IS NULL
                THEN 'they are not the facts of the archive that is recorded'
                ELSE 'the fold of a position would be another'
            END
        FROM unnest($1) i (position_id)
        LEFT JOIN archived a ON a.position_id = i.position_id
        LEFT JOIN shown s ON s.position_id = i.position_id
        WHERE a.position_id IS NULL
            OR s.phase IS DISTINCT FROM 'terminal'
            OR s.has_left
            OR EXISTS (
                SELECT FROM gone g WHERE g.position_id = i.position_id AND g.retracts IS NOT NULL
            )
        ORDER BY i.position_id
        LIMIT 1
        $look$,
        TG_RELID::regclass
    ) INTO refused, fault
    USING ids, marked, digests, statuses, phases, status_precedences, types, type_precedences;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'The log is append-only: DELETE of events is refused: %.', fault
            USING ERRCODE = 'restrict_violation',
                  DETAIL = format('Position %s.', refused),
                  HINT = 'Facts are moved out of the log by positionstore archive alone.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION see_what_left_the_log() IS
    'Lets a DELETE of the log stand only where of each position the facts that left and those that stay are what an archive has of it, to the digest, and its fold stays what it is.';
