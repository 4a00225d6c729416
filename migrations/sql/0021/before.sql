-- What stood before archives.

DO $$
BEGIN
    IF EXISTS (SELECT FROM archives WHERE restored_at IS NULL) THEN
        RAISE EXCEPTION 'Facts of the log are in archives, which the schema before this one does not know.'
            USING HINT = 'Bring them back with positionstore import first, or stay at this schema.';
    END IF;
END
$$;

DROP TRIGGER events_leave_for_an_archive ON events;
DROP FUNCTION see_what_left_the_log();

CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, import, or retract.';
END
$$;
COMMENT ON FUNCTION refuse_change_of_events() IS 'Refuses UPDATE, DELETE and TRUNCATE of the log.';
COMMENT ON TABLE events IS
    'The log: every event, every snapshot and every retraction, once, as received. Append-only: UPDATE, DELETE and TRUNCATE are refused.';

-- Made again behind this, without the column archived.
DROP VIEW position_timeline, position_lifecycle;
