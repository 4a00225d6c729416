"""The embedded PostgreSQL server: its programs, its files, who runs it, and who uses it."""
