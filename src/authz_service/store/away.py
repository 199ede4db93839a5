"""Why a database does not open, in the line that an operator reads: what it said, and what to do about it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from authz_service.errors import Unavailable

ADVICE = (
    (("password authentication failed", "no password supplied"), "put it into PGPASSWORD or ~/.pgpass"),
    (("pg_hba.conf",), "let this machine and user in by pg_hba.conf"),
    (("not a database", "malformed", "encrypted"), "keep the file as evidence and restore a backup"),
    (("disk is full", "No space left", "disk I/O error"), "make room (df -h), then start again"),
    (("does not exist",), "create it, or correct the url"),
    (("readonly", "read-only", "unable to open"), "this user must be able to write there"),
    (("too many clients", "remaining connection slots"), "raise max_connections, or run fewer workers"),
    (
        ("Connection refused", "No such file", "timeout", "translate", "resolve"),
        "is it running, and the url right?",
    ),
)
"""Parts of what databases say, and the next step; the first that fits. No value of the record is in them."""
OTHERWISE = "see its own log"


def cannot_be_opened(what: str, error: BaseException, *, code: str) -> Unavailable:
    """The error to raise; the cause is chained by it."""
    said = _said(error)
    advice = next((step for parts, step in ADVICE if any(part in said for part in parts)), OTHERWISE)
    return Unavailable(f"{what} cannot be opened ({said}); {advice}", code=code)


def _said(error: BaseException) -> str:
    """What the database said of itself; of a statement only what kind of error it was."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    is_damage = any(part in str(driver) for part in ("not a database", "malformed"))
    if not isinstance(error, OperationalError | InterfaceError) and not is_damage:
        return type(driver).__name__
    lines = [line.strip() for line in str(driver).splitlines() if line.strip()]
    # Of several addresses that were tried the last says the same.
    told = next((line for line in lines if "FATAL" in line or "failed" in line), lines[0] if lines else "")
    return told.rpartition("FATAL:")[2].strip().removeprefix("connection failed: ") or type(driver).__name__
