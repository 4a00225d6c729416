COMMENT ON TABLE alembic_version IS
    'The version of the schema. Written by positionstore migrate alone.';
COMMENT ON COLUMN alembic_version.version_num IS 'The last migration that was applied.';
