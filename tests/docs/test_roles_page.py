"""Of every object of the schema it is said who may do what with it, and where."""

import psycopg

from positionstore.store.access import FUNCTIONS, RELATIONS, TYPES


def test_every_object_of_the_schema_is_somebodys(store_url: str) -> None:
    """A new one is added to ``store/access.py``, with who may do what with it."""
    with psycopg.connect(store_url) as connection:
        there = {
            kind: {name for (name,) in connection.execute(query)}
            for kind, query in {
                "relations": """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')
                    AND relnamespace = current_schema()::regnamespace""",
                "functions": """SELECT proname FROM pg_proc
                    WHERE pronamespace = current_schema()::regnamespace""",
                "types": """SELECT t.typname FROM pg_type t
                    LEFT JOIN pg_class c ON c.oid = t.typrelid
                    WHERE t.typnamespace = current_schema()::regnamespace AND t.typelem = 0
                    AND (c.oid IS NULL OR c.relkind = 'c')""",
            }.items()
        }

    assert there == {"relations": set(RELATIONS), "functions": set(FUNCTIONS), "types": set(TYPES)}
