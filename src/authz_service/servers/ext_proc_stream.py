"""Envoy's side of one exchange: writes what the driver sends, and knows when both directions are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from authz_service.core.acts import AnswerHead
from authz_service.core.replies import refused
from authz_service.core.request import Request
from authz_service.errors import AuthzError
from authz_service.framing.headers import ANSWER_ALLOWED, MARKS, SESSION_HEADER, to_remove
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.registry import error_shape
from authz_service.servers.ext_proc_messages import (
    answer_body,
    drop_answer_trailers,
    immediate,
    released_answer,
    released_request,
    request_body,
)
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]


@dataclass(slots=True)
class EnvoyStream:
    """Implements the driver's `Transport`. `request_headers`, `answer_headers` and `answer_trailers` are
    names that came, `answer_crossing` those of the answer's headers that may go on."""

    context: Context
    request_headers: tuple[str, ...]
    request: Request
    request_has_body: bool = True
    answer_headers: tuple[str, ...] = ()
    answer_crossing: frozenset[str] = frozenset()
    answer_trailers: list[str] | None = None
    answer_has_body: bool = True
    answer_begun: bool = False
    is_done: bool = False
    failure: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    async def forward(self, body: bytes, model: str, marks: Mapping[str, str]) -> None:
        """Let the request through: its allowed headers, no query, to `model`."""
        self.marks = marks
        remove = to_remove(self.request_headers, frozenset(self.request.headers))
        await self.context.write(released_request(model=model, path=self.request.path, remove=remove))
        if body or self.request_has_body:  # an empty one too has an end, which the model waits for
            for message in request_body(body):
                await self.context.write(message)

    async def reply(self, error: ApiError, headers: Mapping[str, str]) -> None:
        """An error in the dialect's shape, in place of the model's answer.

        It names the session that it is on record as: of a refusal that is only counted, that of its first.
        """
        body = error_shape(self.request.path).error_body(error)
        session = error.session or self.request.session
        own = {"content-type": "application/json", SESSION_HEADER: session}
        await self.immediate(error.status, {**own, **headers}, body)

    async def refuse(self, error: AuthzError) -> None:
        """A refusal that comes before the exchange has begun."""
        reply = refused(error, session=self.request.session)
        await self.reply(reply.error, reply.headers)

    async def immediate(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Any answer of our own; the exchange is done with it."""
        if self.answer_begun:
            self.abort("the answer had begun")
            return
        headers = {**headers, **self.marks}
        self.is_done = True  # first: Envoy cancels the stream as soon as it has read this
        await self.context.write(immediate(status, headers=headers, body=body))

    async def give(self, head: AnswerHead, body: bytes, marks: Mapping[str, str]) -> None:
        """A whole answer, as it was approved."""
        kept = ANSWER_ALLOWED | MARKS
        crossing = {name: text for name, text in head.headers.items() if name in kept}
        own = {SESSION_HEADER: self.request.session, **marks}
        await self.immediate(head.status, crossing | own, body)

    def mark(self, marks: Mapping[str, str]) -> None:
        """Beside those that it has from the request."""
        self.marks = {**self.marks, **marks}

    async def answer(self, body: bytes, *, is_last: bool) -> None:
        """A piece of the answer, its headers before the first."""
        if not self.answer_begun:
            self.answer_begun = True
            remove = to_remove(self.answer_headers, self.answer_crossing)
            await self.context.write(
                released_answer(session=self.request.session, remove=remove, marks=self.marks)
            )
        if self.answer_has_body:
            trailers = self.answer_trailers if is_last else None
            for message in answer_body(body, is_last=is_last and trailers is None):
                await self.context.write(message)
            if trailers is not None:
                await self.context.write(drop_answer_trailers(trailers))
        self.is_done = is_last

    async def cut(self, error: ApiError) -> None:
        """The dialect's error, then the end."""
        await self.answer(error_shape(self.request.path).error_event(error), is_last=True)

    def abort(self, reason: str) -> None:
        """The servicer aborts the stream when the driver has returned."""
        self.failure = reason
        self.is_done = False
