"""Errors told apart: later, without the one that is to blame, or never."""

import psycopg
import pytest
from psycopg import errors

from positionstore.errors import (
    DatabaseUnavailableError,
    SchemaMismatchError,
    StoreRefusedError,
    WrongEnvironmentError,
)
from positionstore.store.db_errors import ErrorAction, classify, explained

RETRY: list[BaseException] = [
    DatabaseUnavailableError("The database cannot be reached."),
    psycopg.OperationalError("the connection is closed"),
    psycopg.InterfaceError("the connection is closed"),
    ConnectionResetError(),
    MemoryError(),
    errors.ConnectionFailure(),
    errors.TooManyConnections(),
    errors.DiskFull(),
    errors.OutOfMemory(),
    errors.ReadOnlySqlTransaction(),
    errors.InFailedSqlTransaction(),
    errors.DeadlockDetected(),
    errors.SerializationFailure(),
    errors.LockNotAvailable(),
    errors.QueryCanceled(),
    errors.AdminShutdown(),
    errors.CrashShutdown(),
    errors.CannotConnectNow(),
    errors.IoError(),
    errors.InternalError_(),
    errors.DataCorrupted(),
    errors.FeatureNotSupported("cached plan must not change result type"),
    errors.InvalidSqlStatementName(),
]
SPLIT: list[BaseException] = [
    errors.NumericValueOutOfRange(),
    errors.UntranslatableCharacter(),
    errors.InvalidTextRepresentation(),
    errors.CheckViolation(),
    errors.NotNullViolation(),
    errors.UniqueViolation(),
    errors.CardinalityViolation(),
    errors.ProgramLimitExceeded(),
    errors.StatementTooComplex(),
    errors.RaiseException(),
    psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ZeroDivisionError(),
]
STOP: list[BaseException] = [
    SchemaMismatchError("The database's schema is behind."),
    WrongEnvironmentError("This store holds production data."),
    errors.InsufficientPrivilege(),
    errors.InvalidPassword(),
    errors.InvalidCatalogName(),
    errors.InvalidSchemaName(),
    errors.UndefinedTable(),
    errors.UndefinedColumn(),
    errors.UndefinedFunction(),
]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        *((error, ErrorAction.RETRY) for error in RETRY),
        *((error, ErrorAction.SPLIT) for error in SPLIT),
        *((error, ErrorAction.STOP) for error in STOP),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_is_judged(error: BaseException, verdict: ErrorAction) -> None:
    assert classify(error) is verdict


def test_every_error_of_postgres_has_a_verdict() -> None:
    codes = [
        code
        for code in (getattr(kind, "sqlstate", None) for kind in vars(errors).values())
        if isinstance(code, str)
    ]
    assert len(codes) > 200
    for code in codes:
        assert classify(errors.lookup(code)()) in ErrorAction


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (errors.UndefinedTable("no table events"), SchemaMismatchError, "positionstore migrate"),
        (errors.InsufficientPrivilege("denied"), StoreRefusedError, "and the GRANT"),
        (errors.InvalidCatalogName("no database"), StoreRefusedError, "DATABASE_URL"),
    ],
)
def test_what_stops_it_says_what_to_do(
    error: psycopg.Error, kind: type[Exception], remedy: str
) -> None:
    found = explained(error)
    assert type(found) is kind
    assert remedy in str(found)
    assert "\n" not in str(found)


def test_an_error_of_ours_is_left_as_it_is() -> None:
    error = SchemaMismatchError("The database's schema is behind.")
    assert explained(error) is error
