"""Which user the embedded server runs under.

PostgreSQL refuses to run as root. When root starts it, it runs under the owner of the data
where that is not root, else under the system's ``postgres`` user, else under ``nobody``.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from positionstore.errors import ConfigurationError

_PREFERRED = ("postgres", "nobody")


@dataclass(frozen=True)
class OsUser:
    """A user that root can start a process as.

    Attributes:
        uid: its number.
        gid: the number of its group.
        name: its name, for people.
    """

    uid: int
    gid: int
    name: str


def account_for(cluster: Path, data_dir: Path) -> OsUser | None:
    """Choose the user for a server; None means: the one this process runs under.

    Args:
        cluster: the folder of the database files, whether or not it is there yet.
        data_dir: the folder of everything positionstore keeps.

    Raises:
        ConfigurationError: the database files belong to a user that this process cannot
            become, or root has no other user to turn to.
    """
    me = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if me != 0:
        if owner not in (None, me):
            raise ConfigurationError(
                f"The database in {cluster} belongs to {_name(owner)}, not to {_name(me)}.",
                remedy="Run positionstore as the user who began it, or choose another "
                "POSITIONSTORE_DATA_DIR.",
            )
        return None
    if owner == 0:
        raise ConfigurationError(
            f"The database in {cluster} belongs to root, and PostgreSQL refuses to run as root.",
            remedy=f"Give it to another user: chown -R postgres '{cluster}'.",
        )
    if owner is None:
        owner = data_dir.stat().st_uid
    return _by_uid(owner) if owner else _preferred()


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"


def _by_uid(uid: int) -> OsUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(
            f"The embedded server's data belongs to user {uid}, who has no entry in the system's "
            "list of users, which PostgreSQL asks for.",
            remedy="Add that user, or choose another POSITIONSTORE_DATA_DIR.",
        ) from None
    return OsUser(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _preferred() -> OsUser:
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as.",
        remedy="Add one, or start positionstore as an ordinary user.",
    )
