-- The positions that still differ from what GET /positions said last.

-- name: still_different
-- Those that the newest run that looked at them left so, and that no run has found equal since. A
-- complete run of everything says all of it again, so nothing before the last one counts.
SELECT newest.position_id, newest.run_id, newest.kind, newest.resolution
FROM (
    SELECT DISTINCT ON (position_id) position_id, run_id, kind, resolution, noticed_at
    FROM discrepancies
    WHERE run_id >= (
        SELECT coalesce(max(run_id), 0) FROM reconciliation_runs
        WHERE state = 'complete' AND scope = 'full'
    )
    ORDER BY position_id, run_id DESC, (resolution = 'unresolved') DESC
) newest
LEFT JOIN positions p USING (position_id)
WHERE newest.resolution = ANY(%(resolutions)s)
  AND (p.verified_at IS NULL OR p.verified_at <= newest.noticed_at)

-- name: count
-- How many there are.
SELECT count(*) FROM ({still_different}) d;

-- name: listed
-- The largest amounts first, each with what differs, and with how many there are in all.
SELECT
    d.position_id, d.run_id, d.kind, d.resolution, d.value_usd_pips, d.in_all, d.value_in_all,
    p.status, p.wallet_address, p.market_ticker, p.market_title,
    coalesce(
        (
            SELECT array_agg(ARRAY[x.field, x.store_value, x.rest_value] ORDER BY x.field)
            FROM discrepancies x
            WHERE x.position_id = d.position_id AND x.run_id = d.run_id AND x.field <> ''
        ),
        ARRAY[]::text[]
    ) AS fields
FROM (
    SELECT d.*, a.value_usd_pips, count(*) OVER () AS in_all,
           sum(a.value_usd_pips) OVER () AS value_in_all
    FROM ({still_different}) d
    LEFT JOIN (
        SELECT p.position_id, coalesce(
                v.position_value_usd_pips, p.current_position_value_usd_pips,
                p.entry_notional_usd_pips
            ) AS value_usd_pips
        FROM positions p
        LEFT JOIN valuations v USING (position_id)
    ) a USING (position_id)
    ORDER BY a.value_usd_pips DESC NULLS LAST, d.position_id
    LIMIT %(at_most)s
) d
LEFT JOIN positions p USING (position_id)
ORDER BY d.value_usd_pips DESC NULLS LAST, d.position_id;
