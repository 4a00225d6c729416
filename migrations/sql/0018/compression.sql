-- A column that names its compression is one that a server built without lz4 refuses to restore.
-- What the server at hand can do is now chosen by each session that writes.
ALTER TABLE events ALTER COLUMN envelope SET COMPRESSION DEFAULT;
ALTER TABLE positions ALTER COLUMN data SET COMPRESSION DEFAULT;
