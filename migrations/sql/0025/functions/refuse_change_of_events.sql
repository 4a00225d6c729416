CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    -- What may then be deleted see_what_left_the_log() decides, once it is known.
    IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM archives a WHERE a.restored_at IS NULL) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, import, or retract.';
END
$$;
COMMENT ON FUNCTION refuse_change_of_events() IS
    'Refuses UPDATE and TRUNCATE of the log, and DELETE where no archive is recorded; of others see_what_left_the_log decides.';
