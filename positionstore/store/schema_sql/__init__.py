"""The SQL of what has a column for each field: written from the field catalogue.

``scripts/new_field`` puts it into a migration, where it is frozen and reviewed like any other SQL;
a test holds the newest frozen text to what is written here. Nothing here runs on a database but
:mod:`~positionstore.store.schema_sql.comparison`, which is a part of the reconciler's statement.
"""
