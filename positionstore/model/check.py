"""What one check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so.

    Attributes:
        name: what was checked, in a word or two.
        ok: whether it is so.
        says: what was found, in one line without any secret.
        notes: what else there is to know; more of it makes nothing worse.
        statements: SQL that puts it right, for a role that may execute it.
    """

    name: str
    ok: bool
    says: str
    notes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
