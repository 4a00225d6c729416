-- The sub-resources of positions that changed their size.

-- name: due
-- Those to ask for: of the living that are smaller than at their entry, where they were not read at
-- this size; of the ended, where they were asked for before and not since, or an event mentioned lately
-- of a change.
SELECT d.position_id, p.wallet_address, p.phase = 'terminal' AS is_final,
    p.current_position_token_units AS token_units, w.resource
FROM (
    SELECT p.position_id
    FROM positions p
    WHERE p.phase <> 'terminal' AND p.phase = 'live'
        AND (
            p.current_remaining_bps < 10000
            OR p.current_position_token_units < p.entry_position_token_units
        )
    UNION
    SELECT s.position_id FROM position_sub_resources s WHERE NOT s.is_final
    UNION
    SELECT e.position_id
    FROM events e
    WHERE e.received_at >= coalesce(%(since)s::timestamptz, '-infinity')
        AND e.type IN ('position.force_unwound', 'position.partial_closed') AND e.status IS NOT NULL
) d
JOIN positions p ON p.position_id = d.position_id
CROSS JOIN (VALUES ('unwinds'), ('partial_closes')) w (resource)
WHERE NOT EXISTS (
    SELECT FROM position_sub_resources s
    WHERE s.position_id = d.position_id AND s.resource = w.resource AND s.problem IS NULL
        AND (
            s.is_final
            OR (
                p.phase <> 'terminal'
                AND s.of_token_units IS NOT DISTINCT FROM p.current_position_token_units
            )
        )
)
ORDER BY d.position_id, w.resource
LIMIT %(at_most)s;

-- name: keep
-- Keeps an answer, or why there was none beside the answer before.
INSERT INTO position_sub_resources AS s (
    position_id, resource, asked_at, of_token_units, is_final, problem, read_at, body
)
VALUES (
    %(position_id)s, %(resource)s, %(asked_at)s, %(token_units)s, %(is_final)s, %(problem)s,
    CASE WHEN %(body)s::text IS NOT NULL THEN %(asked_at)s END, %(body)s::json
)
ON CONFLICT (position_id, resource) DO UPDATE SET
    asked_at = excluded.asked_at,
    of_token_units = excluded.of_token_units,
    is_final = excluded.is_final,
    problem = excluded.problem,
    read_at = coalesce(excluded.read_at, s.read_at),
    body = coalesce(excluded.body, s.body);
