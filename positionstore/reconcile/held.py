"""Positions that a fact dated in the future keeps as they are."""

from collections.abc import Mapping

from positionstore.store.runs import CompetingFact


def say_what_holds(held: Mapping[str, CompetingFact]) -> str | None:
    """Say in one line which fact keeps positions from being repaired, and what to do about it."""
    if not held:
        return None
    position_id, rival = min(held.items())
    what = f"{rival.event_id} ({rival.type}, dated {rival.created_at:%F %T} UTC)"
    if len(held) == 1:
        whose = f"{position_id} is held by a fact dated in the future, {what}"
    else:
        whose = (
            f"{len(held):,} positions are held by facts dated in the future, "
            f"such as {position_id} by {what}"
        )
    return (
        f"{whose}: nothing can repair it before then. If the date is wrong: "
        f"positionstore retract {rival.event_id} --reason TEXT"
    )
