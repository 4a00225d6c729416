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
-- The largest amounts first, and with how many there are in all. What positions say is joined where it is,
-- and not to the few that are listed: Citus would send the whole table to the coordinator for these.
SELECT
    d.position_id, d.run_id, d.kind, d.resolution, a.value_usd_pips, count(*) OVER () AS in_all,
    sum(a.value_usd_pips) OVER () AS value_in_all,
    a.status, a.wallet_address, a.market_ticker, a.market_title
FROM ({still_different}) d
LEFT JOIN (
    SELECT
        p.position_id, p.status, p.wallet_address, p.market_ticker, p.market_title,
        coalesce(
            v.position_value_usd_pips, p.current_position_value_usd_pips, p.entry_notional_usd_pips
        ) AS value_usd_pips
    FROM positions p
    LEFT JOIN valuations v USING (position_id)
) a USING (position_id)
ORDER BY a.value_usd_pips DESC NULLS LAST, d.position_id
LIMIT %(at_most)s;

-- name: fields
-- What differs of some positions, by what some runs found.
SELECT
    position_id, run_id,
    array_agg(ARRAY[field, store_value, rest_value] ORDER BY field) AS fields
FROM discrepancies
WHERE position_id = ANY (%(position_ids)s) AND run_id = ANY (%(run_ids)s) AND field <> ''
GROUP BY position_id, run_id;
