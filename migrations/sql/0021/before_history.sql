-- The timeline and the lifecycle as they were, without archives.

DROP VIEW position_timeline, position_lifecycle;

-- Each window is of one position, so that a look for one position reads the facts of that one.
CREATE VIEW position_timeline WITH (security_invoker = true) AS
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
    o.retracted_by
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

CREATE VIEW position_lifecycle WITH (security_invoker = true) AS
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

COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts: first those that are retracted, then those that its latest snapshot overrules, then those that count; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.place IS 'Its place in the order, from 1.';
COMMENT ON COLUMN position_timeline.phase IS 'The phase of the fact''s status; live where the status is not in position_statuses.';
COMMENT ON COLUMN position_timeline.delay IS 'received_at less created_at: two clocks, so a small one may be negative.';
COMMENT ON COLUMN position_timeline.out_of_order IS 'Whether the log had a fact already that stands after this one.';
COMMENT ON COLUMN position_timeline.overruled IS 'Whether the position''s latest snapshot makes it count no longer.';
COMMENT ON COLUMN position_timeline.won IS 'Whether it is the fact that positions shows.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first. What is retracted is passed over, and compared only with its like.';
COMMENT ON VIEW position_lifecycle IS
    'When each position was created, opened and ended, how long each step took, and where each moment is known from. event: the created_at of the event that announces it; body: what the position object says (entry.opened_at, result.closed_at); snapshot: the as-of of the first snapshot that shows it, so it happened by then.';
COMMENT ON COLUMN position_lifecycle.created_at IS 'When its on-chain account was created; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.created_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.opening_at IS 'When its opening was confirmed on-chain, before the indexer; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.opening_from IS 'Where that is known from: event.';
COMMENT ON COLUMN position_lifecycle.opened_at IS 'When it opened; NULL where it has not, or never did. UTC.';
COMMENT ON COLUMN position_lifecycle.opened_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.close_requested_at IS 'When its close was last requested; NULL where it was not, or that is unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.close_requested_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.ended_at IS 'When it ended; NULL while it has not. UTC.';
COMMENT ON COLUMN position_lifecycle.ended_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.created_to_opening IS 'opening_at less created_at.';
COMMENT ON COLUMN position_lifecycle.opening_to_opened IS 'opened_at less opening_at: the time to finality.';
COMMENT ON COLUMN position_lifecycle.opened_to_close_requested IS 'close_requested_at less opened_at.';
COMMENT ON COLUMN position_lifecycle.close_requested_to_ended IS 'ended_at less close_requested_at.';
COMMENT ON COLUMN position_lifecycle.opened_to_ended IS 'ended_at less opened_at: how long it was held.';
COMMENT ON COLUMN position_timeline.retracted_by IS 'The event_id of the retraction that makes it count no longer (the least, of several); NULL where it counts. See retractions.';
