-- The log, without envelopes. seq is commit order: nothing commits below a seq that was seen.
{{ config(materialized='incremental', incremental_strategy='append') }}
select seq, event_id, position_id, type, status, created_at, received_at, source,
    supersedes_before, retracts
from {{ source('positionstore', 'events') }}
{% if is_incremental() %}
where seq > (select coalesce(max(seq), 0) from {{ this }})
{% endif %}
