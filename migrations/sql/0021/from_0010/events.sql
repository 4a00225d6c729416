-- The log learns of retractions, and no two facts share a seq.

ALTER TABLE events
    ADD COLUMN retracts text COLLATE "C",
    ADD CONSTRAINT events_retractions_are_operators
        CHECK (retracts IS NULL OR (
            type = 'retraction' AND source = 'import' AND status IS NULL
            AND supersedes_before IS NULL AND position_id <> '' AND retracts <> event_id
        )),
    -- A column that names its compression is one that a server built without lz4 refuses to restore.
    ALTER COLUMN envelope SET COMPRESSION DEFAULT;
COMMENT ON TABLE events IS
    'The log: every event, every snapshot and every retraction, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused; facts of positions that ended long ago leave it for an archive only, with a fact that says so.';
COMMENT ON COLUMN events.event_id IS 'The envelope''s id (evt_...); of a snapshot (snp_...) or a retraction (ret_...) a name made of its content.';
COMMENT ON COLUMN events.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected, and for a retraction.';
COMMENT ON COLUMN events.created_at IS 'When the vendor emitted the event; of a snapshot its as-of, of a retraction when the operator made it. UTC, microseconds.';
COMMENT ON COLUMN events.source IS 'partner or customer (a gateway), import (a file, or an operator''s retraction), rest (a snapshot).';
COMMENT ON COLUMN events.retracts IS 'Only of retractions: the event_id of the fact of this position that does not count. See retractions.';

CREATE INDEX events_retractions ON events (position_id, retracts) WHERE retracts IS NOT NULL;
CREATE INDEX events_of_stream ON events (seq) WHERE source IN ('partner', 'customer');

-- Of the facts that share a seq, as after a restore that reset the sequence, the one that came first keeps
-- it; the others get new numbers after the newest, in their order of arrival, so that a reader who remembers
-- a seq finds them. A fact itself, all that was received, stays as it is.
DO $$
DECLARE
    fact record;
BEGIN
    BEGIN
        -- Under another name first: readers wait only for the moment in which the two change places.
        CREATE UNIQUE INDEX events_seq_unique ON events (seq);
    EXCEPTION WHEN unique_violation THEN
        PERFORM setval(pg_get_serial_sequence('events', 'seq'), (SELECT max(seq) FROM events));
        ALTER TABLE events DISABLE TRIGGER events_are_append_only;
        -- One at a time, since an UPDATE draws its numbers in the order of the table.
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
        ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only;
        CREATE UNIQUE INDEX events_seq_unique ON events (seq);
    END;
    DROP INDEX events_seq;
    ALTER INDEX events_seq_unique RENAME TO events_seq;
END
$$;
