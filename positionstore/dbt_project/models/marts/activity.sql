{{ config(materialized='table') }}
select (h.at at time zone 'UTC')::date as day, b.market_ticker, b.side,
    count(*) filter (where h.happened = 'opened') as opened,
    count(*) filter (where h.happened = 'closed') as closed,
    count(*) filter (where h.happened = 'settled') as settled,
    count(*) filter (where h.happened = 'liquidated') as liquidated,
    count(*) filter (where h.happened = 'cancelled') as cancelled,
    (coalesce(sum(h.volume), 0) * 0.0001)::numeric(24,4) as volume_usd,
    (coalesce(sum(h.fees), 0) * 0.0001)::numeric(24,4) as fees_usd,
    (coalesce(sum(h.net), 0) * 0.0001)::numeric(24,4) as net_realized_pnl_usd
from {{ ref('book') }} b
cross join lateral (values
    (b.opened_at, 'opened', b.entry_notional_usd_pips, null::bigint, null::bigint),
    (b.ended_at, b.status, null, b.fees_total_fees_usd_pips, b.result_net_realized_pnl_usd_pips)
) h (at, happened, volume, fees, net)
where h.at is not null
group by 1, 2, 3
