"""Calls of the review API as whoever is logged in: a refusal is an error of one line and an exit code."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from authz_cli.login import Login
from authz_cli.refusals import AWAY, failure, status_of

Answer = TypeVar("Answer")
Metadata = tuple[tuple[str, str], ...]

PATIENCE = 30.0  # seconds for one answer
LONG_PATIENCE = 600.0  # seconds for all entries of a session
ATTEMPTS = 3  # of a vote; its idempotency key makes them one


@dataclass(frozen=True, slots=True)
class Calls:
    """One connection. Every method raises `Failure`."""

    login: Login

    def _call(self, call: Callable[[Metadata], Answer]) -> Answer:
        try:
            return call(self._metadata())
        except grpc.RpcError as error:
            raise failure(error, self.login) from error

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
        return self._call(call)

    def _metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self.login.token()}"),)


def new_key() -> str:
    """An idempotency key: a call that is sent again with it is one."""
    return str(uuid.uuid4())
