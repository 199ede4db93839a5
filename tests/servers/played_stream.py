"""One stream of the Process service, played by hand as Envoy would, well or badly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc

from authz_service.servers.wire.ext_proc_pb2 import (
    ProcessingRequest,
    ProcessingResponse,
)


@dataclass(slots=True)
class Play:
    """One stream, played by hand. `responses` are those that came so far, `status` how it ended."""

    call: Any
    responses: list[ProcessingResponse] = field(default_factory=list)
    status: grpc.StatusCode | None = None

    async def send(self, *messages: ProcessingRequest) -> None:
        """Send; nothing is raised when the service has ended the stream, which has its status then.

        Where that comes while a message is on its way, `call.write` takes its own failure for the status of
        the stream, and the one that the service gives it is never told. So it is written past that.
        """
        try:
            await self.call.wait_for_connection()
            for message in messages:
                await self.call._cython_call.send_serialized_message(message.SerializeToString())
        except (grpc.aio.InternalError, grpc.aio.AioRpcError):
            return

    async def leave(self) -> None:
        """End our side, as Envoy does when it is done with the stream."""
        try:
            await self.call.done_writing()
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            return

    async def next(self) -> ProcessingResponse | None:
        """The next response; None when the service has ended the stream."""
        try:
            message = await self.call.read()
        except grpc.aio.AioRpcError:
            message = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
        if not isinstance(message, ProcessingResponse):
            self.status = await self.call.code()
            return None
        self.responses.append(message)
        return message

    async def to_end(self) -> list[ProcessingResponse]:
        """Read all that comes, until the service ends the stream."""
        while await self.next() is not None:
            pass
        return self.responses

    def kinds(self) -> list[str]:
        """What came, by name."""
        return [str(response.WhichOneof("response")) for response in self.responses]

    def body(self, kind: str) -> bytes:
        """The bytes of `request_body` or `response_body` that were let through, joined."""
        bodies = [getattr(r, kind).response.body_mutation.streamed_response for r in self.responses]
        return b"".join(body.body for body in bodies)

    @property
    def is_released(self) -> bool:
        """Whether the request was let through."""
        return "request_headers" in self.kinds()

    @property
    def is_complete(self) -> bool:
        """Whether both directions have been answered to their end, so that a clean end is safe."""
        return self._replied or (self.is_over("request") and self.is_over("response"))

    @property
    def _replied(self) -> bool:
        return "immediate_response" in self.kinds()

    def is_over(self, side: str) -> bool:
        """Whether one direction ("request" or "response") has been let through to its end."""
        kinds = self.kinds()
        if f"{side}_headers" not in kinds:
            return False
        bodies = [
            getattr(r, f"{side}_body").response.body_mutation.streamed_response
            for r in self.responses
            if r.WhichOneof("response") == f"{side}_body"
        ]
        return not bodies or bodies[-1].end_of_stream or f"{side}_trailers" in kinds
