"""Every error a user can meet.

The tree::

    PositionstoreError            exit 1
    ├── ConfigurationError        exit 2   a setting, a file or an option is wrong
    │   ├── SchemaMismatchError            the database's schema is not this version's
    │   ├── StoreRefusedError              Postgres lets us in, but not do what is needed
    │   └── WrongEnvironmentError          the store holds the other environment's data
    ├── CredentialsError          exit 1   the vendor refuses the key or the token
    ├── DatabaseUnavailableError  exit 1   Postgres cannot be reached or started
    │   └── SessionLostError               a pooler put another session in the place of ours
    ├── GatewayError              exit 1   the gateway or the REST API cannot be used
    ├── SpoolError                exit 1   the files that outlast the database cannot be used
    ├── NeighbourError            exit 1   the schema holds another program's tables
    └── BusyError                 exit 1   another process does the same work just now

Each message is one line for the person who reads it: what is wrong, and what to do. Exit 3
is no error: it is a command's finding (differences, quarantined input) and is returned by the
command itself.
"""


class PositionstoreError(Exception):
    """Something positionstore can name went wrong.

    Attributes:
        exit_code: the process's exit code when the error reaches the command line.
        remedy: what the reader can do about it, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        """Return cause and remedy in one line."""
        message = super().__str__()
        return f"{message} {self.remedy}" if self.remedy else message


class ConfigurationError(PositionstoreError):
    """A setting, a file or an option is wrong; nothing was done."""

    exit_code = 2


class SchemaMismatchError(ConfigurationError):
    """The database's schema is behind or ahead of this version of positionstore."""


class StoreRefusedError(ConfigurationError):
    """Postgres does not permit what is needed, or is not the database that was meant."""


class WrongEnvironmentError(ConfigurationError):
    """A key, a host and a store do not belong to the same environment."""


class CredentialsError(PositionstoreError):
    """The vendor refused the API key or the token."""


class DatabaseUnavailableError(PositionstoreError):
    """Postgres cannot be reached, or the embedded server cannot be started."""


class SessionLostError(DatabaseUnavailableError):
    """The session of the database became another in the middle of the work."""


class GatewayError(PositionstoreError):
    """The gateway or the REST API answered in a way that cannot be worked with."""


class DoubtfulClockError(GatewayError):
    """The REST API answered, but what its clock says cannot be believed."""


class SpoolError(PositionstoreError):
    """What is kept on disk while the database is away cannot be used."""


class NeighbourError(PositionstoreError):
    """Another program has taken the place in the database; nothing of it was touched."""


class BusyError(PositionstoreError):
    """Another process does the same work just now."""
