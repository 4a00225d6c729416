-- Types of what positionstore itself appends.
INSERT INTO event_types (type, precedence, description) VALUES
    ('retraction',                         0, 'An operator''s statement that a fact is wrong. It has no status and takes no part in the order.'),
    ('archive',                            0, 'Facts of positions that ended long ago were moved to a file. It names no position and takes no part in the order.'),
    ('restoration',                        0, 'Facts that were in an archive are back in the log. It names no position and takes no part in the order.')
ON CONFLICT (type) DO NOTHING;
