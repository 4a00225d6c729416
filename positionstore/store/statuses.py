"""What the store knows of the statuses of a position."""

import psycopg


def terminal_statuses(connection: psycopg.Connection) -> frozenset[str]:
    """Return the statuses that a position ends with."""
    rows = connection.execute("SELECT status FROM position_statuses WHERE is_terminal")
    return frozenset(status for (status,) in rows)
