-- A row a position. Of a night's new facts each position is read again, so a late fact that moves an
-- old day moves it here too. Facts of after the watermark are read again the next night. A position
-- whose facts were all retracted is none, and leaves.
{{ config(
    materialized='incremental', unique_key='position_id', incremental_strategy='delete+insert',
    post_hook="delete from {{ this }} b where not exists (
        select from {{ source('positionstore', 'positions') }} p where p.position_id = b.position_id)"
) }}
with touched as (
    select position_id, max(seq) as last_seq
    from {{ ref('stg_facts') }}
    {% if is_incremental() %}
    where seq > (select coalesce(max(last_seq), 0) from {{ this }})
    {% endif %}
    group by position_id
),
moments as (
    select position_id, opened_at, ended_at from {{ source('positionstore', 'position_lifecycle') }}
    where position_id in (select position_id from touched)
)
select p.position_id, p.status, p.phase, p.market_ticker, p.side, p.wallet_address,
    m.opened_at, m.ended_at, p.entry_notional_usd_pips, p.fees_total_fees_usd_pips,
    p.result_realized_pnl_usd_pips, p.result_net_realized_pnl_usd_pips, t.last_seq
from touched t
join {{ source('positionstore', 'positions') }} p on p.position_id = t.position_id
join moments m on m.position_id = t.position_id
