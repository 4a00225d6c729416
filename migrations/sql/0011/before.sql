-- What stood before retractions, whole.

DO $$
BEGIN
    IF EXISTS (SELECT FROM events WHERE retracts IS NOT NULL) THEN
        RAISE EXCEPTION 'The log has retractions, which the schema before this one cannot hold.'
            USING HINT = 'Stay at this schema.';
    END IF;
END
$$;

DROP VIEW retractions, position_timeline;

CREATE OR REPLACE FUNCTION fold_facts(
    only_positions text[] DEFAULT NULL,
    valid_at timestamptz DEFAULT 'infinity',
    known_at timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (position_id text, seq bigint, supersedes_before timestamptz)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan -- so that the planner sees whether only_positions is NULL
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH latest_snapshot AS (
        SELECT DISTINCT ON (position_id) position_id, seq, supersedes_before
        FROM ranked_facts
        WHERE supersedes_before IS NOT NULL
          AND (only_positions IS NULL OR position_id = ANY (only_positions))
          AND created_at <= fold_facts.valid_at
          AND received_at <= fold_facts.known_at
        ORDER BY position_id, created_at DESC, rank DESC
    )
    SELECT DISTINCT ON (f.position_id) f.position_id, f.seq, s.supersedes_before
    FROM ranked_facts f
    LEFT JOIN latest_snapshot s ON s.position_id = f.position_id
    WHERE (only_positions IS NULL OR f.position_id = ANY (only_positions))
      AND f.created_at <= fold_facts.valid_at
      AND f.received_at <= fold_facts.known_at
      AND CASE
              WHEN f.supersedes_before IS NOT NULL THEN f.seq = s.seq
              WHEN s.seq IS NOT NULL THEN f.created_at > s.supersedes_before
              ELSE true
          END
    ORDER BY f.position_id, f.rank DESC;
END
$$;
COMMENT ON FUNCTION fold_facts(text[], timestamptz, timestamptz) IS
    'The fold: of each position the seq of the fact that is its current state, and the moment up to which its latest snapshot overrules events. Over all facts, or only those created by valid_at and received by known_at.';

CREATE OR REPLACE FUNCTION book_changes(from_known timestamptz, to_known timestamptz)
RETURNS TABLE (
    position_id text,
    cause text,
    valid_at timestamptz,
    status_before text,
    status_after text,
    event_before text,
    event_after text,
    received_at timestamptz,
    changed text[]
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    late text[];
    page record;
BEGIN
    late := ARRAY(
        SELECT DISTINCT e.position_id
        FROM events e
        WHERE e.received_at > from_known AND e.received_at <= to_known
            AND e.created_at <= from_known AND e.status IS NOT NULL
    );
    RETURN QUERY
    SELECT
        became.position_id,
        CASE WHEN became.supersedes_before IS DISTINCT FROM was.supersedes_before
            THEN 'snapshot' ELSE 'late' END,
        from_known,
        b.status,
        a.status,
        b.event_id,
        a.event_id,
        a.received_at,
        changed_fields(jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data')
    FROM fold_facts(late, from_known, to_known) became
    LEFT JOIN fold_facts(late, from_known, from_known) was ON was.position_id = became.position_id
    JOIN events a ON a.seq = became.seq
    LEFT JOIN events b ON b.seq = was.seq
    WHERE was.seq IS DISTINCT FROM became.seq;

    -- The snapshots of one page share their moments, and are asked after together.
    FOR page IN
        SELECT e.created_at, e.received_at, array_agg(DISTINCT e.position_id) AS position_ids
        FROM events e
        WHERE e.received_at > from_known AND e.received_at <= to_known
            AND e.created_at > from_known AND e.supersedes_before IS NOT NULL
        GROUP BY e.created_at, e.received_at
        ORDER BY e.received_at, e.created_at
    LOOP
        RETURN QUERY
        SELECT
            became.position_id,
            'snapshot',
            page.created_at,
            b.status,
            a.status,
            b.event_id,
            a.event_id,
            page.received_at,
            changed_fields(
                jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data'
            )
        FROM fold_facts(page.position_ids, page.created_at, page.received_at) became
        LEFT JOIN fold_facts(
            page.position_ids, page.created_at, page.received_at - interval '1 microsecond'
        ) was ON was.position_id = became.position_id
        JOIN events a ON a.seq = became.seq
        LEFT JOIN events b ON b.seq = was.seq
        WHERE was.seq IS DISTINCT FROM became.seq;
    END LOOP;
END
$$;
COMMENT ON FUNCTION book_changes(timestamptz, timestamptz) IS
    'Why a number of from_known is another number at to_known, one row a position and a change. late: an event created by from_known arrived after it, so that positions_as_of(from_known, from_known) and positions_as_of(from_known, to_known) differ. snapshot: a snapshot received in between told what the stream had not: at its as-of (valid_at) the book with it differs from the book without it. Before and after: the fact that stood and the fact that stands, its status, and the fields in which they differ; NULL before where the position was not known. Events that only continue the story are not listed.';

CREATE VIEW position_timeline AS
SELECT
    o.position_id,
    row_number() OVER in_order AS place,
    o.seq,
    o.event_id,
    o.type,
    o.status,
    o.phase,
    o.created_at,
    o.received_at,
    o.received_at - o.created_at AS delay,
    o.source,
    o.supersedes_before,
    coalesce(o.seq > min(o.seq) OVER after_it, false) AS out_of_order,
    o.overruled,
    o.won,
    changed_fields(
        jsonb_from_wire(lag(o.envelope) OVER in_order) -> 'data',
        jsonb_from_wire(o.envelope) -> 'data'
    ) AS changed
FROM (
    SELECT
        f.*,
        CASE
            WHEN f.supersedes_before IS NULL THEN f.created_at <= p.supersedes_before
            ELSE f.event_id <> first_value(f.event_id) OVER (
                PARTITION BY f.position_id
                ORDER BY f.supersedes_before IS NULL, f.created_at DESC, f.rank DESC
            )
        END IS TRUE AS overruled,
        (f.event_id = p.last_event_id) IS TRUE AS won
    FROM ranked_facts f
    LEFT JOIN positions p ON p.position_id = f.position_id
) o
WINDOW
    in_order AS (PARTITION BY o.position_id ORDER BY NOT o.overruled, o.rank),
    after_it AS (
        PARTITION BY o.position_id ORDER BY NOT o.overruled DESC, o.rank DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    );
COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts, those first that its latest snapshot overrules; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.place IS 'Its place in the order, from 1.';
COMMENT ON COLUMN position_timeline.phase IS 'The phase of the fact''s status; live where the status is not in position_statuses.';
COMMENT ON COLUMN position_timeline.delay IS 'received_at less created_at: two clocks, so a small one may be negative.';
COMMENT ON COLUMN position_timeline.out_of_order IS 'Whether the log had a fact already that stands after this one.';
COMMENT ON COLUMN position_timeline.overruled IS 'Whether the position''s latest snapshot makes it count no longer.';
COMMENT ON COLUMN position_timeline.won IS 'Whether it is the fact that positions shows.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first.';

CREATE OR REPLACE VIEW position_lifecycle AS
SELECT
    p.position_id,
    p.status,
    p.phase,
    p.market_ticker,
    p.side,
    p.wallet_address,
    k.created_at,
    k.created_from,
    k.opening_at,
    k.opening_from,
    k.opened_at,
    k.opened_from,
    k.close_requested_at,
    k.close_requested_from,
    k.ended_at,
    k.ended_from,
    k.opening_at - k.created_at AS created_to_opening,
    k.opened_at - k.opening_at AS opening_to_opened,
    k.close_requested_at - k.opened_at AS opened_to_close_requested,
    k.ended_at - k.close_requested_at AS close_requested_to_ended,
    k.ended_at - k.opened_at AS opened_to_ended
FROM positions p
CROSS JOIN LATERAL (
    SELECT
        min(f.created_at) FILTER (WHERE f.type = 'position.created') AS created_event,
        min(f.created_at) FILTER (WHERE f.type = 'position.opening') AS opening_event,
        min(f.created_at) FILTER (WHERE f.type = 'position.opened') AS opened_event,
        max(f.created_at) FILTER (WHERE f.type = 'position.close_requested') AS close_event,
        -- The end that stands, not one that a snapshot undid; one that it confirmed will do.
        coalesce(
            min(f.created_at) FILTER (
                WHERE f.supersedes_before IS NULL AND f.status = p.status
                    AND f.created_at > coalesce(p.supersedes_before, '-infinity')
            ),
            max(f.created_at) FILTER (WHERE f.supersedes_before IS NULL AND f.status = p.status)
        ) AS end_event,
        min(f.created_at) FILTER (WHERE f.supersedes_before IS NOT NULL) AS created_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.phase <> 'pending' AND f.status <> 'cancelled'
        ) AS opened_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.status = 'closing'
        ) AS close_snapshot,
        min(f.created_at) FILTER (
            WHERE f.supersedes_before IS NOT NULL AND f.status = p.status
        ) AS end_snapshot
    FROM ranked_facts f
    WHERE f.position_id = p.position_id
) m
CROSS JOIN LATERAL (
    SELECT
        coalesce(m.created_event, m.created_snapshot) AS created_at,
        CASE
            WHEN m.created_event IS NOT NULL THEN 'event'
            WHEN m.created_snapshot IS NOT NULL THEN 'snapshot'
        END AS created_from,
        m.opening_event AS opening_at,
        CASE WHEN m.opening_event IS NOT NULL THEN 'event' END AS opening_from,
        CASE WHEN o.opened THEN
            coalesce(m.opened_event, p.entry_opened_at, m.opened_snapshot)
        END AS opened_at,
        CASE
            WHEN NOT o.opened THEN NULL
            WHEN m.opened_event IS NOT NULL THEN 'event'
            WHEN p.entry_opened_at IS NOT NULL THEN 'body'
            WHEN m.opened_snapshot IS NOT NULL THEN 'snapshot'
        END AS opened_from,
        coalesce(m.close_event, m.close_snapshot) AS close_requested_at,
        CASE
            WHEN m.close_event IS NOT NULL THEN 'event'
            WHEN m.close_snapshot IS NOT NULL THEN 'snapshot'
        END AS close_requested_from,
        CASE WHEN p.phase = 'terminal' THEN
            coalesce(m.end_event, p.result_closed_at, m.end_snapshot)
        END AS ended_at,
        CASE
            WHEN p.phase <> 'terminal' THEN NULL
            WHEN m.end_event IS NOT NULL THEN 'event'
            WHEN p.result_closed_at IS NOT NULL THEN 'body'
            WHEN m.end_snapshot IS NOT NULL THEN 'snapshot'
        END AS ended_from
    FROM (SELECT p.phase <> 'pending' AND p.status <> 'cancelled' AS opened) o
) k;

CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, or import.';
END
$$;

DROP FUNCTION is_retracted(text, text, timestamptz, integer);
DELETE FROM event_types WHERE type = 'retraction';
ALTER TABLE events DROP COLUMN retracts;
COMMENT ON TABLE events IS
    'The log: every event and every snapshot, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused.';
COMMENT ON COLUMN events.event_id IS 'The envelope''s id (evt_...); of a snapshot a name made of its content (snp_...).';
COMMENT ON COLUMN events.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected.';
COMMENT ON COLUMN events.created_at IS 'When the vendor emitted the event; of a snapshot its as-of. UTC, microseconds.';
COMMENT ON COLUMN events.source IS 'partner or customer (a gateway), import (a file), rest (a snapshot).';

-- A column of the view means what the column of the same name means in the table that it comes from.
DO $$
DECLARE
    uncommented record;
BEGIN
    FOR uncommented IN
        SELECT v.attname AS name, col_description(t.attrelid, t.attnum) AS meaning
        FROM pg_attribute v
        JOIN pg_attribute t ON t.attrelid = 'events'::regclass AND t.attname = v.attname
        WHERE v.attrelid = 'position_timeline'::regclass AND v.attnum > 0 AND t.attnum > 0
            AND col_description(v.attrelid, v.attnum) IS NULL
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN position_timeline.%I IS %L', uncommented.name, uncommented.meaning
        );
    END LOOP;
END
$$;
