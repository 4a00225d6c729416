CREATE TABLE backfill_walks (
    backfill_id bigint NOT NULL,
    walk        text COLLATE "C" NOT NULL,
    last_id     text COLLATE "C",
    ended       boolean NOT NULL,
    PRIMARY KEY (backfill_id, walk)
);
COMMENT ON TABLE backfill_walks IS
    'How far a backfill has come in each list of GET /positions.';
COMMENT ON COLUMN backfill_walks.backfill_id IS 'The backfill.';
COMMENT ON COLUMN backfill_walks.walk IS 'The list: active or inactive, and the wallet where each was listed by itself.';
COMMENT ON COLUMN backfill_walks.last_id IS 'The position after which it goes on; NULL before the first.';
COMMENT ON COLUMN backfill_walks.ended IS 'Whether the list has been walked to its end.';
