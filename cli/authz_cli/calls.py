"""Calls of the review API as whoever is logged in: a refusal is an error of one line and an exit code."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc

from authz_cli.channel import channel_to
from authz_cli.login import Login
from authz_cli.options import Target
from authz_cli.refusals import AWAY, failure, status_of

Answer = TypeVar("Answer")
Stub = TypeVar("Stub")
Metadata = tuple[tuple[str, str], ...]
Call = Callable[[Callable[[Metadata], Answer]], Answer]

PATIENCE = 30.0  # seconds for one answer
LONG_PATIENCE = 600.0  # seconds for all entries of a session
ATTEMPTS = 3  # of a vote; its idempotency key makes them one


@dataclass(frozen=True, slots=True)
class Calls:
    """One connection. Every method raises `Failure`."""

    login: Login

    def call(self, call: Callable[[Metadata], Answer], *, unimplemented: str = "") -> Answer:
        """What one call says, which is given who calls; for `unimplemented` see `failure`."""
        try:
            return call(self._metadata())
        except grpc.RpcError as error:
            raise failure(error, self.login, unimplemented=unimplemented) from error

    def _found(self, call: Callable[[Metadata], Answer]) -> Answer | None:
        try:
            return call(self._metadata())
        except grpc.RpcError as error:
            if status_of(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise failure(error, self.login) from error

    def _vote(self, call: Callable[[Metadata], Answer]) -> Answer:
        for _ in range(ATTEMPTS - 1):
            try:
                return call(self._metadata())
            except grpc.RpcError as error:
                if status_of(error) not in AWAY:
                    raise failure(error, self.login) from error
        return self.call(call)

    def _metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self.login.token()}"),)


def new_key() -> str:
    """An idempotency key: a call that is sent again with it is one."""
    return str(uuid.uuid4())


@contextmanager
def calling(
    target: Target, stub: Callable[[grpc.Channel], Stub], *, unimplemented: str = ""
) -> Iterator[tuple[Stub, Callable[[Callable[[Metadata], Answer]], Answer]]]:
    """A service of the server that `target` leads to, and what runs its calls as `Calls.call` does."""
    with channel_to(target) as (login, channel):
        calls = Calls(login)

        def call(work: Callable[[Metadata], Answer]) -> Answer:
            return calls.call(work, unimplemented=unimplemented)

        yield stub(channel), call
