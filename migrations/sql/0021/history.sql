-- The timeline and the lifecycle say where facts are in an archive.

-- Each window is of one position, so that a look for one position reads the facts of that one.
CREATE OR REPLACE VIEW position_timeline WITH (security_invoker = true) AS
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
        jsonb_from_wire(lag(o.envelope) OVER of_its_kind) -> 'data',
        jsonb_from_wire(o.envelope) -> 'data'
    ) AS changed,
    o.retracted_by,
    EXISTS (SELECT FROM archived_positions m WHERE m.position_id = o.position_id) AS archived
FROM (
    SELECT
        f.*,
        f.retracted_by IS NULL AND CASE
            WHEN f.supersedes_before IS NULL THEN f.created_at <= p.supersedes_before
            ELSE f.event_id <> first_value(f.event_id) OVER (
                PARTITION BY f.position_id
                ORDER BY
                    f.supersedes_before IS NULL OR f.retracted_by IS NOT NULL,
                    f.created_at DESC,
                    f.rank DESC
            )
        END IS TRUE AS overruled,
        (f.event_id = p.last_event_id) IS TRUE AS won
    FROM (
        SELECT
            f.*,
            (
                SELECT min(r.event_id)
                FROM events r
                WHERE r.position_id = f.position_id AND r.retracts = f.event_id
                    AND NOT is_retracted(r.position_id, r.event_id, depth => 1)
            ) AS retracted_by
        FROM ranked_facts f
    ) f
    LEFT JOIN positions p ON p.position_id = f.position_id
) o
WINDOW
    in_order AS (
        PARTITION BY o.position_id ORDER BY o.retracted_by IS NULL, NOT o.overruled, o.rank
    ),
    of_its_kind AS (
        PARTITION BY o.position_id, o.retracted_by IS NULL ORDER BY NOT o.overruled, o.rank
    ),
    after_it AS (
        PARTITION BY o.position_id
        ORDER BY o.retracted_by IS NULL DESC, NOT o.overruled DESC, o.rank DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    );
COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts: first those that are retracted, then those that its latest snapshot overrules, then those that count; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first. What is retracted is passed over, and compared only with its like.';
COMMENT ON COLUMN position_timeline.retracted_by IS 'The event_id of the retraction that makes it count no longer (the least, of several); NULL where it counts. See retractions.';

CREATE OR REPLACE VIEW position_lifecycle WITH (security_invoker = true) AS
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
    k.ended_at - k.opened_at AS opened_to_ended,
    EXISTS (SELECT FROM archived_positions m WHERE m.position_id = p.position_id) AS archived
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
        AND NOT EXISTS (
            SELECT FROM events r
            WHERE r.position_id = f.position_id AND r.retracts = f.event_id
                AND is_retracted(r.position_id, r.retracts)
        )
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
COMMENT ON COLUMN position_timeline.archived IS 'Whether other facts of the position are in an archive: then these are the few that the log keeps.';
COMMENT ON COLUMN position_lifecycle.archived IS 'Whether facts of the position are in an archive: then a moment is NULL, or known from the body or a snapshot, that an event there tells of.';
