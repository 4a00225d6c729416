CREATE TABLE valuation_history (
    LIKE valuations INCLUDING COMMENTS,
    PRIMARY KEY (position_id, as_of)
);
COMMENT ON TABLE valuation_history IS
    'Every valuation that a run brought, while POSITIONSTORE_VALUATION_HISTORY is on.';
