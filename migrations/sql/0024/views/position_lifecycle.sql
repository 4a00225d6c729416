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
    p.opened_at,
    p.opened_from,
    p.opened_from AS opened_at_source,
    m.opened_event AS opened_event_at,
    k.close_requested_at,
    k.close_requested_from,
    p.ended_at,
    p.ended_from,
    p.ended_from AS ended_at_source,
    CASE WHEN p.phase = 'terminal' THEN m.end_event END AS ended_event_at,
    k.opening_at - k.created_at AS created_to_opening,
    p.opened_at - k.opening_at AS opening_to_opened,
    k.close_requested_at - p.opened_at AS opened_to_close_requested,
    p.ended_at - k.close_requested_at AS close_requested_to_ended,
    p.ended_at - p.opened_at AS opened_to_ended,
    EXISTS (SELECT FROM archived_positions m WHERE m.position_id = p.position_id) AS archived,
    extract(epoch FROM k.opening_at - k.created_at)::numeric(18,6) AS created_to_opening_seconds,
    extract(epoch FROM p.opened_at - k.opening_at)::numeric(18,6) AS opening_to_opened_seconds,
    extract(epoch FROM k.close_requested_at - p.opened_at)::numeric(18,6) AS opened_to_close_requested_seconds,
    extract(epoch FROM p.ended_at - k.close_requested_at)::numeric(18,6) AS close_requested_to_ended_seconds,
    extract(epoch FROM p.ended_at - p.opened_at)::numeric(18,6) AS opened_to_ended_seconds
FROM (
    -- By where opened_moment and ended_moment have them from, so that a filter is a filter of
    -- positions, before any fact is read. Each part has an order, and so the planner sorts positions
    -- where a query asks for the first few in it, and reads the facts of these alone.
    (
        SELECT
            p.position_id, p.status, p.phase, p.market_ticker, p.side, p.wallet_address,
            p.supersedes_before,
            p.entry_opened_at AS opened_at,
            'body' AS opened_from,
            p.result_closed_at AS ended_at,
            'body' AS ended_from
        FROM positions p
        WHERE p.phase = 'terminal'
            AND p.entry_opened_at IS NOT NULL AND p.result_closed_at IS NOT NULL
        ORDER BY p.entry_opened_at DESC NULLS LAST
    )
    UNION ALL
    (
        SELECT
            p.position_id, p.status, p.phase, p.market_ticker, p.side, p.wallet_address,
            p.supersedes_before,
            p.entry_opened_at,
            'body',
            NULL::timestamptz,
            NULL::text
        FROM positions p
        WHERE p.phase = 'live' AND p.entry_opened_at IS NOT NULL
        ORDER BY p.entry_opened_at DESC
    )
    UNION ALL
    (
        SELECT
            w.position_id, w.status, w.phase, w.market_ticker, w.side, w.wallet_address,
            w.supersedes_before,
            moment_at(w.opened),
            moment_source(w.opened),
            moment_at(w.ended),
            moment_source(w.ended)
        FROM (
            SELECT
                p.*,
                opened_moment(p.position_id, p.phase, p.entry_opened_at) AS opened,
                ended_moment(p.position_id, p.status, p.phase, p.result_closed_at) AS ended
            FROM positions p
        ) w
        WHERE (
            w.entry_opened_at IS NOT NULL AND (
                w.phase = 'live' OR w.phase = 'terminal' AND w.result_closed_at IS NOT NULL
            )
        ) IS NOT TRUE
        ORDER BY moment_at(w.ended) DESC NULLS LAST
    )
) p
-- The facts tell the rest, and are not read by a query that does not ask for it.
LEFT JOIN LATERAL (
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
            WHERE f.supersedes_before IS NOT NULL AND f.status = 'closing'
        ) AS close_snapshot
    FROM ranked_facts f
    WHERE f.position_id = p.position_id
        AND NOT EXISTS (
            SELECT FROM events r
            WHERE r.position_id = f.position_id AND r.retracts = f.event_id
                AND is_retracted(r.position_id, r.retracts)
        )
) m ON true
CROSS JOIN LATERAL (
    SELECT
        coalesce(m.created_event, m.created_snapshot) AS created_at,
        CASE
            WHEN m.created_event IS NOT NULL THEN 'event'
            WHEN m.created_snapshot IS NOT NULL THEN 'snapshot'
        END AS created_from,
        m.opening_event AS opening_at,
        CASE WHEN m.opening_event IS NOT NULL THEN 'event' END AS opening_from,
        coalesce(m.close_event, m.close_snapshot) AS close_requested_at,
        CASE
            WHEN m.close_event IS NOT NULL THEN 'event'
            WHEN m.close_snapshot IS NOT NULL THEN 'snapshot'
        END AS close_requested_from
) k;
COMMENT ON VIEW position_lifecycle IS
    'When each position was created, opened and ended, how long each step took, and where each moment is known from. opened_at and ended_at are those of opened_moment and ended_moment, as everywhere: what the position object says (body: entry.opened_at, result.closed_at), else the created_at of the event that shows it (event), else the as-of of the first snapshot that shows it, so it happened by then (snapshot). The other moments are told by events and snapshots alone.';
COMMENT ON COLUMN position_lifecycle.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN position_lifecycle.status IS 'Its status; see position_statuses.';
COMMENT ON COLUMN position_lifecycle.phase IS 'pending, live or terminal: by events a position never moves back.';
COMMENT ON COLUMN position_lifecycle.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN position_lifecycle.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN position_lifecycle.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN position_lifecycle.created_at IS 'When its on-chain account was created; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.created_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.opening_at IS 'When its opening was confirmed on-chain, before the indexer; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.opening_from IS 'Where that is known from: event.';
COMMENT ON COLUMN position_lifecycle.opened_at IS 'When it opened; NULL where it has not, or never did. One that opened and was reverted did. UTC.';
COMMENT ON COLUMN position_lifecycle.opened_from IS 'The same as opened_at_source.';
COMMENT ON COLUMN position_lifecycle.close_requested_at IS 'When its close was last requested; NULL where it was not, or that is unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.close_requested_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.ended_at IS 'When it ended; NULL while it has not. UTC.';
COMMENT ON COLUMN position_lifecycle.ended_from IS 'The same as ended_at_source.';
COMMENT ON COLUMN position_lifecycle.created_to_opening IS 'opening_at less created_at.';
COMMENT ON COLUMN position_lifecycle.opening_to_opened IS 'opened_at less opening_at. Of two clocks where opened_at_source is body: opened_event_at less opening_at is the time to finality by the clock of events.';
COMMENT ON COLUMN position_lifecycle.opened_to_close_requested IS 'close_requested_at less opened_at.';
COMMENT ON COLUMN position_lifecycle.close_requested_to_ended IS 'ended_at less close_requested_at.';
COMMENT ON COLUMN position_lifecycle.opened_to_ended IS 'ended_at less opened_at: how long it was held.';
COMMENT ON COLUMN position_lifecycle.archived IS 'Whether facts of the position are in an archive: then a moment is NULL, or known from the body or a snapshot, that an event there tells of.';
COMMENT ON COLUMN position_lifecycle.opened_at_source IS 'Where opened_at is known from: body, event or snapshot.';
COMMENT ON COLUMN position_lifecycle.ended_at_source IS 'Where ended_at is known from: body, event or snapshot.';
COMMENT ON COLUMN position_lifecycle.opened_event_at IS 'The created_at of its position.opened event; NULL where none came. By the clock of events, as opening_at. UTC.';
COMMENT ON COLUMN position_lifecycle.ended_event_at IS 'The created_at of the event that ended it; NULL where none came, so that the reconciler found out. UTC.';
COMMENT ON COLUMN position_lifecycle.created_to_opening_seconds IS 'created_to_opening in seconds, exact.';
COMMENT ON COLUMN position_lifecycle.opening_to_opened_seconds IS 'opening_to_opened in seconds, exact.';
COMMENT ON COLUMN position_lifecycle.opened_to_close_requested_seconds IS 'opened_to_close_requested in seconds, exact.';
COMMENT ON COLUMN position_lifecycle.close_requested_to_ended_seconds IS 'close_requested_to_ended in seconds, exact.';
COMMENT ON COLUMN position_lifecycle.opened_to_ended_seconds IS 'opened_to_ended in seconds, exact.';
