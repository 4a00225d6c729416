"""Every error that a user can see.

The tree::

    PositionstoreError            exit 1
    ├── ConfigurationError        exit 2   a setting, a file or an option is wrong
    │   ├── SchemaMismatchError            the database's schema is not this version's
    │   ├── StoreRefusedError              PostgreSQL does not permit what is needed
    │   └── WrongEnvironmentError          the store holds the other environment's data
    ├── CredentialsError          exit 1   the vendor refuses the key or the token
    ├── DatabaseUnavailableError  exit 1   Postgres cannot be reached or started
    │   └── SessionLostError               a pooler replaced our session
    ├── GatewayError              exit 1   the gateway or the REST API fails
    ├── SpoolError                exit 1   the files that outlast the database cannot be used
    ├── NeighbourError            exit 1   the schema holds another program's tables
    ├── MissingFilesError         exit 1   files of a lake are gone
    └── BusyError                 exit 1   another process is doing the same work

Each message is one line: what is wrong, and what to do. Exit code 3 is not an error but a finding
(differences, quarantined input), which the command itself returns.
"""


def first_line(text: object) -> str:
    """Return the first line of what a library says, which often has more of them."""
    return str(text).strip().partition("\n")[0]


class PositionstoreError(Exception):
    """An error with a known cause.

    Attributes:
        exit_code: the process's exit code when the error reaches the command line.
        remedy: what to do about it, or an empty string.
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
    """PostgreSQL does not permit what is needed, or it is the wrong database."""


class WrongEnvironmentError(ConfigurationError):
    """A key, a host and a store do not belong to the same environment."""


class CredentialsError(PositionstoreError):
    """The vendor refused the API key or the token."""


class DatabaseUnavailableError(PositionstoreError):
    """Postgres cannot be reached, or the embedded server cannot be started."""


class SessionLostError(DatabaseUnavailableError):
    """The database session was replaced during the work."""


class GatewayError(PositionstoreError):
    """The gateway or the REST API failed or gave an unusable answer."""


class DoubtfulClockError(GatewayError):
    """The clock of a REST answer is unreliable."""


class SpoolError(PositionstoreError):
    """The spool cannot be used."""


class NeighbourError(PositionstoreError):
    """The schema has another program's tables; nothing was changed."""


class MissingFilesError(PositionstoreError):
    """Files of a lake are gone.

    Attributes:
        paths: what they are called.
    """

    def __init__(self, message: str, paths: list[str], *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.paths = paths


class BusyError(PositionstoreError):
    """Another process is doing the same work."""
