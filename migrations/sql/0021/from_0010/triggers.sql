-- Facts leave the log for an archive, and in no other way.
CREATE TRIGGER events_leave_for_an_archive
    AFTER DELETE ON events
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION see_what_left_the_log();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_leave_for_an_archive;
