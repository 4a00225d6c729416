-- Under another name first: readers wait only for the moment in which the two change places.
CREATE UNIQUE INDEX events_seq_unique ON events (seq);
DROP INDEX events_seq;
ALTER INDEX events_seq_unique RENAME TO events_seq;
