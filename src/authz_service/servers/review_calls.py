"""What every call of the review API has in common: who calls, and how a refusal is said in gRPC."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import grpc
import structlog
from grpc.aio import AbortError, ServicerContext

from authz_service.errors import (
    AuthzError,
    Conflict,
    Forbidden,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unreadable,
)
from authz_service.servers.roles import Roles, Standing
from authz_service.view.caller import Caller

Context = ServicerContext[Any, Any]
CODE_KEY = "authz-code"

_STATUS: tuple[tuple[type[AuthzError], grpc.StatusCode], ...] = (
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (Unreadable, grpc.StatusCode.INVALID_ARGUMENT),
    (TooMany, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)

_log = structlog.get_logger(__name__)


class ReviewVerifier(Protocol):
    """Verifies tokens of the review API's audience, and of no other."""

    async def verify_review(self, token: str) -> Caller:
        """Raises `Unauthenticated`, which says what was wrong and never repeats the token."""
        ...


def nothing_withdrawn(_caller: Caller) -> None:
    """Where tokens cannot be withdrawn."""


@dataclass(frozen=True, slots=True)
class Calls:
    """`clock` (seconds since the epoch) is the one that tokens expire by.

    `recheck` raises `Unauthenticated` for a token that was withdrawn since its call began.
    """

    verifier: ReviewVerifier
    roles: Roles
    clock: Callable[[], float] = time.time
    recheck: Callable[[Caller], None] = nothing_withdrawn

    def require_live(self, person: Caller) -> None:
        """Raise `Unauthenticated` for a token that is over, or was withdrawn since its call began."""
        if self.clock() >= person.expires_at:
            raise Unauthenticated("the token has expired; go on with a new one", code="token_expired")
        self.recheck(person)

    async def standing(self, context: Context) -> Standing:
        """Who calls; raises `Unauthenticated` or `Forbidden`."""
        return Standing.of(await self.verifier.verify_review(_bearer(context)), self.roles)


@dataclass(frozen=True, slots=True)
class answering:
    """Say every refusal as a status with its stable code; an unforeseen error says nothing of itself."""

    context: Context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        match error:
            case AuthzError():
                await _abort(self.context, _status(error), str(error), error.code)
            case AbortError():
                return
            case Exception():
                # Messages of foreign errors may quote what they were given (SQL parameters, prompts).
                _log.error("review call failed", error=type(error).__name__, at=_place(error))
                message = "the server failed on this; its log says where"
                await _abort(self.context, grpc.StatusCode.INTERNAL, message, "internal")
            case _:
                return


def _bearer(context: Context) -> str:
    # Of several credentials none counts: a proxy in between might have checked another one than we do.
    values = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    if len(values) != 1 or not isinstance(values[0], str):
        raise Unauthenticated("send exactly one `authorization: Bearer TOKEN`", code="no_token")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("send the token as `authorization: Bearer TOKEN`", code="no_token")
    return token.strip()


def _status(error: AuthzError) -> grpc.StatusCode:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


async def _abort(context: Context, status: grpc.StatusCode, message: str, code: str) -> None:
    await context.abort(status, message, trailing_metadata=((CODE_KEY, code),))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
