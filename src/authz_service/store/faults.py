"""What a database error means to whoever waits: away, full or locked is `Unavailable`."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authz_service.errors import Unavailable

NOTHING_RELEASED = "the record store is unavailable, so nothing was released; try again shortly"


def unavailable() -> Unavailable:
    """What waiting callers are told; the cause is chained by whoever raises it."""
    return Unavailable(NOTHING_RELEASED, code="store_unavailable")


def is_fault(error: BaseException) -> bool:
    """Whether the database failed, rather than what was asked of it."""
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout | OSError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that another one may do better."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
