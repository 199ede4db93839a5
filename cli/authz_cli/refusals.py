"""What a refused call means to who typed the command."""

from __future__ import annotations

import grpc

from authz_cli.exits import Exit, Failure
from authz_cli.login import Login

AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_EXITS = {
    grpc.StatusCode.UNAUTHENTICATED: Exit.NOT_PERMITTED,
    grpc.StatusCode.PERMISSION_DENIED: Exit.NOT_PERMITTED,
    grpc.StatusCode.NOT_FOUND: Exit.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: Exit.CONFLICT,
    grpc.StatusCode.INVALID_ARGUMENT: Exit.USAGE,
}


def failure(error: grpc.RpcError, login: Login, *, unimplemented: str = "") -> Failure:
    """What a refused call means to who typed the command.

    `unimplemented` is what to say where the server does not have the service.
    """
    status = status_of(error)
    if unimplemented and status is grpc.StatusCode.UNIMPLEMENTED:
        return Failure(unimplemented, Exit.REFUSED)
    call = _call_of(error)
    details = (call.details() or "") if call else ""
    if status in AWAY and not code_of(error):
        return Failure(f"the server at {login.address} does not answer: {_why_away(login)}", Exit.AWAY)
    if status in AWAY:
        return Failure(f"the server cannot answer now: {details}", Exit.AWAY)
    return Failure(details or "the server refused and did not say why", _EXITS.get(status, Exit.REFUSED))


def _why_away(login: Login) -> str:
    if login.address.startswith("unix:"):
        return "is `authz up` running?"
    return "is it running, and signed by an authority that --ca names?"


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call; UNKNOWN for one that has none."""
    call = _call_of(error)
    return call.code() if call else grpc.StatusCode.UNKNOWN


def code_of(error: grpc.RpcError) -> str:
    """The server's stable word for what was wrong; empty when it was not the server that spoke."""
    call = _call_of(error)
    metadata = (call.trailing_metadata() or ()) if call else ()
    return next((str(value) for key, value in metadata if key == "authz-code"), "")


def _call_of(error: object) -> grpc.Call | None:
    # Every RpcError of a call is also the call; the types do not say so.
    return error if isinstance(error, grpc.Call) else None
