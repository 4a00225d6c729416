-- The log.

CREATE TABLE events (
    seq               bigint GENERATED ALWAYS AS IDENTITY,
    event_id          text COLLATE "C" NOT NULL,
    position_id       text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    status            text COLLATE "C",
    created_at        timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    source            text COLLATE "C" NOT NULL
        CHECK (source IN ('partner', 'customer', 'import', 'rest')),
    supersedes_before timestamptz,
    envelope          json NOT NULL,
    PRIMARY KEY (position_id, event_id),
    CONSTRAINT events_snapshots_come_from_rest
        CHECK ((source = 'rest') = (supersedes_before IS NOT NULL))
);
COMMENT ON TABLE events IS
    'The log: every event and every snapshot, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused.';
COMMENT ON COLUMN events.seq IS 'Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be skipped.';
COMMENT ON COLUMN events.event_id IS 'The envelope''s id (evt_...); of a snapshot a name made of its content (snp_...).';
COMMENT ON COLUMN events.position_id IS 'The position it speaks of; empty for a notification that names none.';
COMMENT ON COLUMN events.type IS 'The envelope''s type, known or not; see event_types.';
COMMENT ON COLUMN events.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected.';
COMMENT ON COLUMN events.created_at IS 'When the vendor emitted the event; of a snapshot its as-of. UTC, microseconds.';
COMMENT ON COLUMN events.received_at IS 'When it reached positionstore, by our clock.';
COMMENT ON COLUMN events.source IS 'partner or customer (a gateway), import (a file), rest (a snapshot).';
COMMENT ON COLUMN events.supersedes_before IS 'Only of snapshots: events of this position created up to this moment are overruled.';
COMMENT ON COLUMN events.envelope IS 'The JSON object as it came over the wire, all of it, to the letter.';

CREATE INDEX events_seq ON events (seq);
CREATE INDEX events_snapshots ON events (position_id, created_at) WHERE supersedes_before IS NOT NULL;

CREATE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, or import.';
END
$$;
COMMENT ON FUNCTION refuse_change_of_events() IS 'Refuses UPDATE, DELETE and TRUNCATE of the log.';

CREATE TRIGGER events_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();
-- Also for a session that plays a replica, in which ordinary triggers rest.
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only;
