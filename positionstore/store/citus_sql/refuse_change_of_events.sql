-- The log of a store on Citus refuses each change: it has no archives. The plain function looks for one
-- that this transaction records, by a system column, and those a table that is on every worker lacks.
CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % of events is refused.', TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'State is repaired by appending a fact: positionstore reconcile, import, or retract.';
END
$$;
