"""The advisory locks of a store; they die with the connection that holds them."""

from typing import Final

APPEND_LOCK: Final = 7_305_804_402_566_050_816
"""Held by an appender for the end of its transaction: whoever holds it sees a log that rests."""

REBUILD_LOCK: Final = 7_305_804_402_566_050_818
"""Held by the one rebuild of a time."""

MIGRATION_LOCK: Final = 7_305_804_402_566_050_817
"""Held by the one migration of a time."""

RECONCILE_LOCK: Final = 7_305_804_402_566_050_819
"""Held by the one reconciler of a time."""
