"""The log as a lake: a table of Iceberg that is fed with facts, and folded by other engines."""
