-- What nothing needs any more, once the functions of before stand again.

DROP FUNCTION refuse_what_is_archived(text[], timestamptz, timestamptz);
DROP FUNCTION fact_digest(bigint, text, text, text, text, timestamptz, timestamptz, text, timestamptz, json, text);
DROP TABLE archived_positions;
DROP TABLE archives;
DELETE FROM event_types WHERE type IN ('archive', 'restoration');
