"""What a database error means to whoever waits: away, full or locked is `Unavailable`."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authz_service.core.ports import BEGUN_BEFORE
from authz_service.errors import Conflict, Unavailable

NOTHING_RELEASED = "the record store is unavailable, so nothing was released; try again shortly"


class DatabaseFault(Exception):
    """What a database said, without the values that it was given.

    PostgreSQL repeats whole rows in its errors ("Failing row contains ..."), and errors go to the log.
    """


def unavailable() -> Unavailable:
    """What waiting callers are told; the cause is chained by whoever raises it."""
    return Unavailable(NOTHING_RELEASED, code="store_unavailable")


def without_values(error: BaseException | None) -> BaseException | None:
    """A database's error as a `DatabaseFault`; any other as it is."""
    if not isinstance(error, DBAPIError):
        return error
    driver = error.orig
    said = [type(driver).__name__]
    codes = (getattr(driver, "sqlite_errorname", None), getattr(driver, "sqlstate", None))
    said += [code for code in codes if code]
    constraint = getattr(getattr(driver, "diag", None), "constraint_name", None)
    if constraint:
        said.append(constraint)
    if isinstance(error, OperationalError | InterfaceError):
        said.append(str(driver).partition("\n")[0])
    return DatabaseFault(": ".join(said))


def is_fault(error: BaseException) -> bool:
    """Whether the database failed, rather than what was asked of it."""
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout | OSError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def begun_before() -> Conflict:
    """What is told of a session that was to begin and is on record already."""
    return Conflict("this exchange has begun before", code=BEGUN_BEFORE)


def is_second_beginning(error: BaseException | None) -> bool:
    """Whether a session was to begin that is on record already."""
    if not isinstance(error, IntegrityError):
        return False
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return constraint == "sessions_pkey" or "UNIQUE constraint failed: sessions.id" in str(error.orig)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that another one may do better."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def as_sqlalchemy(error: Exception, connection: Connection) -> BaseException:
    """An error of the driver's own connection as SQLAlchemy would have raised it, without any value."""
    dialect = connection.dialect
    driver = connection.connection.driver_connection
    return DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=dialect.is_disconnect(error, driver, None),  # type: ignore[arg-type]  # typed as its wrapper
        dialect=dialect,
    )
