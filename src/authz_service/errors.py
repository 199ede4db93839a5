"""The one error tree: what a caller, a reviewer or an operator is told when something is refused."""

from __future__ import annotations


class AuthzError(Exception):
    """A refusal that explains itself; `str(error)` is safe to show to whoever asked.

    `code` is stable and machine-readable, `status` the HTTP status it maps to. The cause, if any,
    is chained (`raise ... from cause`) and goes to the log, never to the caller.
    """

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Unauthenticated(AuthzError):
    """No credential, or one that does not verify (RFC 9110 15.5.2). The token is never repeated."""

    def __init__(self, message: str, *, code: str = "invalid_token") -> None:
        super().__init__(message, code=code, status=401)


class Forbidden(AuthzError):
    """The credential is good, and does not allow this (RFC 9110 15.5.4)."""

    def __init__(self, message: str, *, code: str = "forbidden") -> None:
        super().__init__(message, code=code, status=403)


class Unreadable(AuthzError):
    """A body, header or path that cannot be judged because it cannot be read without doubt."""

    def __init__(self, message: str, *, code: str = "unreadable", status: int = 400) -> None:
        super().__init__(message, code=code, status=status)


class NotFound(AuthzError):
    """What was asked for does not exist, or is not for the one who asks."""

    def __init__(self, message: str, *, code: str = "not_found") -> None:
        super().__init__(message, code=code, status=404)


class Conflict(AuthzError):
    """Somebody decided before, or what is decided has changed since it was shown."""

    def __init__(self, message: str, *, code: str = "conflict") -> None:
        super().__init__(message, code=code, status=409)


class TooMany(AuthzError):
    """A limit of the caller's is reached (RFC 6585 4)."""

    def __init__(self, message: str, *, code: str = "rate_limit_exceeded") -> None:
        super().__init__(message, code=code, status=429)


class Unavailable(AuthzError):
    """The store or another part is away; nothing was released, and the same request may be repeated."""

    def __init__(self, message: str, *, code: str = "unavailable") -> None:
        super().__init__(message, code=code, status=503)


class Misconfigured(AuthzError):
    """A file or a setting of the operator's is wrong; the message has one line for each fault."""

    def __init__(self, message: str, *, code: str = "misconfigured") -> None:
        super().__init__(message, code=code, status=500)
