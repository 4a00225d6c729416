CREATE TABLE position_sub_resources (
    position_id    text COLLATE "C" NOT NULL,
    resource       text COLLATE "C" NOT NULL CHECK (resource IN ('unwinds', 'partial_closes')),
    asked_at       timestamptz NOT NULL,
    of_token_units numeric(38, 0),
    is_final       boolean NOT NULL,
    problem        text,
    read_at        timestamptz,
    body           json,
    PRIMARY KEY (position_id, resource)
);
COMMENT ON TABLE position_sub_resources IS
    'What GET /positions/{id}/unwinds and /partial-closes last answered for each position that changed its size: the vendor''s own list, which only grows, so the latest answer replaces the one before. Beside the log: no fact, and no state is made of it.';
COMMENT ON COLUMN position_sub_resources.position_id IS 'The position.';
COMMENT ON COLUMN position_sub_resources.resource IS 'unwinds or partial_closes.';
COMMENT ON COLUMN position_sub_resources.asked_at IS 'When it was last asked for, by our clock. UTC.';
COMMENT ON COLUMN position_sub_resources.of_token_units IS 'The tokens that positions showed then, in millionths: of another size it is asked for again. NULL once it has ended.';
COMMENT ON COLUMN position_sub_resources.is_final IS 'Whether the position had ended when it was read: it is asked for no more.';
COMMENT ON COLUMN position_sub_resources.problem IS 'Why the last attempt brought nothing; the next run asks again. NULL where it brought the body.';
COMMENT ON COLUMN position_sub_resources.read_at IS 'When the body was read, by our clock. UTC; NULL if never.';
COMMENT ON COLUMN position_sub_resources.body IS 'The answer as it came over the wire, to the letter; NULL if there was none.';

CREATE INDEX position_sub_resources_open ON position_sub_resources (position_id) WHERE NOT is_final;
