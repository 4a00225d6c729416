"""Everything that knows Postgres, and nothing that knows HTTP."""
