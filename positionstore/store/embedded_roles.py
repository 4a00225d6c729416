"""The roles on the embedded server, which has them from the beginning.

Their passwords lie in ``<data dir>/postgres/roles/``, one file of mode 0600 a role.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import psycopg

from positionstore.embedded import cluster as clusters
from positionstore.embedded.server import EmbeddedServer
from positionstore.errors import ConfigurationError
from positionstore.store.grants import Role, Roles
from positionstore.store.roles import DEFAULT_PREFIX, apply, recorded

ROLES = Roles(DEFAULT_PREFIX)


def ensure(connection: psycopg.Connection, server: EmbeddedServer) -> None:
    """Make the roles where there are none yet; otherwise that is seen at once.

    Args:
        connection: the superuser's, in autocommit mode.
        server: the server it leads to.
    """
    if recorded(connection) == ROLES and not _without_file(server):
        return
    # Readers of this database have no business in the server's own.
    connection.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
    apply(
        connection,
        ROLES,
        keep=lambda passwords: _keep(server, passwords),
        renew=_without_file(server),
    )


def url_as(server: EmbeddedServer, role: Role) -> str:
    """Return the URL of the store for one of its roles, password included.

    Raises:
        ConfigurationError: its password cannot be read.
    """
    path = _file(server, role)
    try:
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"The password of the {role} cannot be read from {path}: {error.strerror}.",
            remedy="Run positionstore as the user who began the data directory.",
        ) from None
    return server.url(user=ROLES.name(role), password=password)


def _file(server: EmbeddedServer, role: Role) -> Path:
    return server.data_dir.absolute() / "postgres" / "roles" / str(role)


def _without_file(server: EmbeddedServer) -> list[Role]:
    return [role for role in Role if not _file(server, role).exists()]


def _keep(server: EmbeddedServer, passwords: Mapping[Role, str]) -> None:
    for role, password in passwords.items():
        path = _file(server, role)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        clusters.write_private(path, password + "\n")
        if os.geteuid() == 0:  # what root makes in another user's folder is that user's
            owner = server.data_dir.stat()
            for made in (path.parent, path):
                os.chown(made, owner.st_uid, owner.st_gid)
