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
    retracts          text COLLATE "C",
    PRIMARY KEY (position_id, event_id),
    CONSTRAINT events_snapshots_come_from_rest
        CHECK ((source = 'rest') = (supersedes_before IS NOT NULL)),
    CONSTRAINT events_retractions_are_operators
        CHECK (retracts IS NULL OR (
            type = 'retraction' AND source = 'import' AND status IS NULL
            AND supersedes_before IS NULL AND position_id <> '' AND retracts <> event_id
        ))
);
COMMENT ON TABLE events IS
    'The log: every event, every snapshot and every retraction, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused; facts of positions that ended long ago leave it for an archive only, with a fact that says so.';
COMMENT ON COLUMN events.seq IS 'Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be skipped.';
COMMENT ON COLUMN events.event_id IS 'The envelope''s id (evt_...); of a snapshot (snp_...) or a retraction (ret_...) a name made of its content.';
COMMENT ON COLUMN events.position_id IS 'The position it speaks of; empty for a notification that names none.';
COMMENT ON COLUMN events.type IS 'The envelope''s type, known or not; see event_types.';
COMMENT ON COLUMN events.status IS 'The position''s status in this fact; NULL for a notification, whose data is no position and is not projected, and for a retraction.';
COMMENT ON COLUMN events.created_at IS 'When the vendor emitted the event; of a snapshot its as-of, of a retraction when the operator made it. UTC, microseconds.';
COMMENT ON COLUMN events.received_at IS 'When it reached positionstore, by our clock.';
COMMENT ON COLUMN events.source IS 'partner or customer (a gateway), import (a file, or an operator''s retraction), rest (a snapshot).';
COMMENT ON COLUMN events.supersedes_before IS 'Only of snapshots: events of this position created up to this moment are overruled.';
COMMENT ON COLUMN events.envelope IS 'The JSON object as it came over the wire, all of it, to the letter.';
COMMENT ON COLUMN events.retracts IS 'Only of retractions: the event_id of the fact of this position that does not count. See retractions.';

CREATE UNIQUE INDEX events_seq ON events (seq);
CREATE INDEX events_snapshots ON events (position_id, created_at) WHERE supersedes_before IS NOT NULL;
CREATE INDEX events_retractions ON events (position_id, retracts) WHERE retracts IS NOT NULL;
-- Finds the newest events of the stream, however many facts were imported or repaired since.
CREATE INDEX events_of_stream ON events (seq) WHERE source IN ('partner', 'customer');
-- The log grows in the order of reception, near enough: a few pages tell where a stretch lies.
CREATE INDEX events_received ON events USING brin (received_at);

CREATE TRIGGER events_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();
CREATE TRIGGER events_leave_for_an_archive
    AFTER DELETE ON events
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION see_what_left_the_log();
-- Also for a session that plays a replica, in which ordinary triggers rest.
ALTER TABLE events
    ENABLE ALWAYS TRIGGER events_are_append_only,
    ENABLE ALWAYS TRIGGER events_leave_for_an_archive;
