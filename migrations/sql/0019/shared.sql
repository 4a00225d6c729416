-- Of the facts that share a seq the one that came first keeps it; the others get new numbers after the
-- newest, in their order of arrival, so that a reader who remembers a seq finds them. A fact itself, all
-- that was received, stays as it is.
SELECT setval(pg_get_serial_sequence('events', 'seq'), (SELECT max(seq) FROM events));

ALTER TABLE events DISABLE TRIGGER events_are_append_only;

-- One at a time, since an UPDATE draws its numbers in the order of the table.
DO $$
DECLARE
    fact record;
BEGIN
    FOR fact IN
        SELECT position_id, event_id
        FROM (
            SELECT
                position_id, event_id, received_at, seq,
                row_number() OVER (
                    PARTITION BY seq ORDER BY received_at, position_id, event_id
                ) AS place
            FROM events
        ) placed
        WHERE place > 1
        ORDER BY seq, received_at, position_id, event_id
    LOOP
        UPDATE events SET seq = DEFAULT
        WHERE position_id = fact.position_id AND event_id = fact.event_id;
    END LOOP;
END
$$;

ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only;
