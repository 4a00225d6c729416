-- What the timeline and the lifecycle said of their columns.

COMMENT ON VIEW position_timeline IS
    'Each fact of a position in the order of facts: first those that are retracted, then those that its latest snapshot overrules, then those that count; the last one is what positions shows. Ask for one position at a time.';
COMMENT ON COLUMN position_timeline.place IS 'Its place in the order, from 1.';
COMMENT ON COLUMN position_timeline.phase IS 'The phase of the fact''s status; live where the status is not in position_statuses.';
COMMENT ON COLUMN position_timeline.delay IS 'received_at less created_at: two clocks, so a small one may be negative.';
COMMENT ON COLUMN position_timeline.out_of_order IS 'Whether the log had a fact already that stands after this one.';
COMMENT ON COLUMN position_timeline.overruled IS 'Whether the position''s latest snapshot makes it count no longer.';
COMMENT ON COLUMN position_timeline.won IS 'Whether it is the fact that positions shows.';
COMMENT ON COLUMN position_timeline.changed IS 'The fields, as the wire spells their paths, that differ from the fact before it in this order; NULL for the first. What is retracted is passed over, and compared only with its like.';
COMMENT ON VIEW position_lifecycle IS
    'When each position was created, opened and ended, how long each step took, and where each moment is known from. event: the created_at of the event that announces it; body: what the position object says (entry.opened_at, result.closed_at); snapshot: the as-of of the first snapshot that shows it, so it happened by then.';
COMMENT ON COLUMN position_lifecycle.created_at IS 'When its on-chain account was created; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.created_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.opening_at IS 'When its opening was confirmed on-chain, before the indexer; NULL where unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.opening_from IS 'Where that is known from: event.';
COMMENT ON COLUMN position_lifecycle.opened_at IS 'When it opened; NULL where it has not, or never did. UTC.';
COMMENT ON COLUMN position_lifecycle.opened_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.close_requested_at IS 'When its close was last requested; NULL where it was not, or that is unknown. UTC.';
COMMENT ON COLUMN position_lifecycle.close_requested_from IS 'Where that is known from: event or snapshot.';
COMMENT ON COLUMN position_lifecycle.ended_at IS 'When it ended; NULL while it has not. UTC.';
COMMENT ON COLUMN position_lifecycle.ended_from IS 'Where that is known from: event, body or snapshot.';
COMMENT ON COLUMN position_lifecycle.created_to_opening IS 'opening_at less created_at.';
COMMENT ON COLUMN position_lifecycle.opening_to_opened IS 'opened_at less opening_at: the time to finality.';
COMMENT ON COLUMN position_lifecycle.opened_to_close_requested IS 'close_requested_at less opened_at.';
COMMENT ON COLUMN position_lifecycle.close_requested_to_ended IS 'ended_at less close_requested_at.';
COMMENT ON COLUMN position_lifecycle.opened_to_ended IS 'ended_at less opened_at: how long it was held.';
COMMENT ON COLUMN position_timeline.retracted_by IS 'The event_id of the retraction that makes it count no longer (the least, of several); NULL where it counts. See retractions.';
