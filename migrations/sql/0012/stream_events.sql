-- Finds the newest events of the stream, however many facts were imported or repaired since.
CREATE INDEX events_of_stream ON events (seq) WHERE source IN ('partner', 'customer');
