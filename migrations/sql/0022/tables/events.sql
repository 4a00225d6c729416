-- The index of the key tells when each fact of a position was created and received, so that the
-- positions that had a fact by a moment are found without reading the log.
ALTER TABLE events
    DROP CONSTRAINT events_pkey,
    ADD CONSTRAINT events_pkey PRIMARY KEY (position_id, event_id) INCLUDE (created_at, received_at);
