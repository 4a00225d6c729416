-- The index of seq as it was: of those who share one, each is in it.
CREATE INDEX events_seq_plain ON events (seq);
DROP INDEX events_seq;
ALTER INDEX events_seq_plain RENAME TO events_seq;
