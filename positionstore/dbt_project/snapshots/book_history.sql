{% snapshot book_history %}
{{ config(target_schema=target.schema, unique_key='position_id', strategy='check',
    check_cols=['status', 'last_event_id'], hard_deletes='invalidate') }}
select position_id, status, phase, last_event_id, last_event_at from {{ source('positionstore', 'positions') }}
{% endsnapshot %}
