"""The Process service on a Unix socket over a real store, and a hand that plays Envoy, well or badly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc

from authz_service.app import rules_of
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.core.ports import HoldDraft, HoldLimits, Opening, Store
from authz_service.core.sessions import Entry
from authz_service.errors import Unavailable
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealed, Sealer
from authz_service.runtime.draining import drain
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.pacing import Pace
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.waiting import Waiting
from authz_service.servers.ext_proc import ProcessServer
from authz_service.servers.gateway import serve_gateway
from authz_service.servers.incoming import SEAL_NAMESPACE
from authz_service.servers.wire.base_pb2 import HeaderMap, HeaderValue
from authz_service.servers.wire.ext_proc_pb2 import (
    HttpBody,
    HttpHeaders,
    HttpTrailers,
    ProcessingRequest,
    ProcessingResponse,
)
from authz_service.servers.wire.methods import PROCESS
from authz_service.store.open import open_store
from authz_service.view.caller import Caller

Result = TypeVar("Result")

CHAT = "/v1/chat/completions"
ALICE = Caller("https://id", "alice", 4e9, ("staff",))
CAROL = Caller("https://id", "carol", 4e9, ("contractors",))

CONFIG = """\
version: 1
listen: {address: "127.0.0.1:10000"}
models: [{name: llama, url: "http://127.0.0.1:8000"}]
identity: {embedded: true}
review: {audience: authz-review, reviewers: "true", auditors: "true"}
requests:
  default: deny
  rules:
    - {name: staff, when: "'staff' in caller.groups", effect: allow}
    - {name: contractors, when: "'contractors' in caller.groups", effect: hold, approval: security}
answers:
  default: allow
  rules: [{name: no-keys, when: "answer.findings.AWS_ACCESS_KEY.count > 0", effect: deny}]
paths: [{method: GET, path: /health, when: "true"}]
masks: [{name: mail, in: [requests, answers], entities: [EMAIL_ADDRESS], with: type}]
approvals: {security: {stages: [{reviewers: "true", votes: 1, within: 30m, on_timeout: reject}]}}
limits: {body: 1MiB, depth: 64}
"""


class Faulty:
    """A store, of which the calls that change something can be counted, and one of them can fail.

    `fail_at` counts from 1; `is_lost` has it fail after the commit, as when the answer is lost.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[str] = []
        self.under_way = 0
        self.fail_at = 0
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, *drafts: EntryDraft) -> None:
        """Counted."""
        await self._attempt("append", lambda: self._store.append(*drafts))

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "") -> None:
        """Counted like any other."""
        await self._attempt("append", lambda: self._store.append_own(*drafts, stream=stream))

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        """Counted."""
        return await self._attempt("open_hold", lambda: self._store.open_hold(draft, limits))

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        """Counted."""
        return await self._attempt(
            "consume",
            lambda: self._store.consume(hold_id, digest=digest, session=session, entries=entries),
        )

    async def _attempt(self, name: str, work: Callable[[], Awaitable[Result]]) -> Result:
        self.calls.append(name)
        self.under_way += 1
        try:
            return await self.attempt(work)
        finally:
            self.under_way -= 1

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do the work, or fail."""
        if len(self.calls) != self.fail_at:
            return await work()
        if self.is_lost:
            await work()
        raise Unavailable("the store is away", code="store_unavailable")


@dataclass(slots=True)
class Play:
    """One stream, played by hand. `responses` are those that came so far, `status` how it ended."""

    call: Any
    responses: list[ProcessingResponse] = field(default_factory=list)
    status: grpc.StatusCode | None = None

    async def send(self, *messages: ProcessingRequest) -> None:
        """Send; nothing is raised when the service has ended the stream."""
        for message in messages:
            try:
                await self.call.write(message)
            except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
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


@dataclass(slots=True)
class Service:
    """The running service, and what it has on record."""

    gateway: Gateway
    store: Faulty
    socket: Path
    channel: grpc.aio.Channel

    @asynccontextmanager
    async def play(self) -> AsyncIterator[Play]:
        """A stream that is cancelled at the end of the block, if it is still open."""
        process: Any = self.channel.stream_stream(  # the stubs ask for an iterator, which we don't use
            PROCESS,
            request_serializer=ProcessingRequest.SerializeToString,
            response_deserializer=ProcessingResponse.FromString,
        )
        call = process()
        try:
            yield Play(call)
        finally:
            call.cancel()

    def seal(
        self, caller: Caller = ALICE, *, exchange: str = "", method: str = "POST", path: str = CHAT
    ) -> str:
        """What Check seals for a request of `caller`."""
        sealed = Sealed(exchange or new_id("ses"), caller, method, path, "gateway")
        return self.gateway.sealer.seal(sealed, time.time())

    async def entries(self, session: str) -> Sequence[Entry]:
        """What is on record of an exchange, once nothing is waiting to be recorded."""
        await self.gateway.recorder.drain()
        return await self.gateway.store.entries(session)

    async def kinds(self, session: str) -> list[str]:
        """What is on record of an exchange, by its kind, once it has ended there; [] when nothing is."""
        async with asyncio.timeout(10):
            while True:
                kinds = [entry.kind for entry in await self.entries(session)]
                if not kinds or Kind.EXCHANGE_ENDED.value in kinds:
                    return kinds
                await asyncio.sleep(0.005)

    async def payloads(self, session: str, kind: Kind) -> bytes:
        """The bodies of an exchange's entries of one kind, joined."""
        found = [entry for entry in await self.entries(session) if entry.kind == kind.value]
        return b"".join(entry.payloads.get("body", b"") for entry in found)

    async def is_let_go(self, session: str) -> None:
        """Wait until the service has let go of an exchange, and the store of what it was asked."""
        async with asyncio.timeout(10):
            while session in self.gateway.live or self.store.under_way:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(
    folder: Path, config: str = CONFIG, *, store: Callable[[Store], Faulty] = Faulty
) -> AsyncIterator[Service]:
    """The service, on a socket and a database in `folder`, which `store` makes worse than it is."""
    file = folder / "authz.yaml"
    file.write_text(config)
    database = await open_store(f"sqlite:///{folder}/record.db", instance="test", pseudonym="/".join)
    faulty = store(database)
    gateway = Gateway(
        store=cast(Store, faulty),
        rules=rules_of(load_config(file)),
        sealer=Sealer(bytes(range(32))),
        pseudonym="/".join,
        waiting=Waiting(cast(Store, faulty), Pace(lambda: 500.0)),
        recorder=Recorder(cast(Store, faulty)),
        usage=database,
        started_at=time.time() - 1,  # what a test begins at once did not begin before
    )
    following = asyncio.create_task(gateway.waiting.run())
    draining = partial(drain, gateway, seconds=0.0)
    try:
        async with (
            serve_gateway(folder / "s", [ProcessServer(gateway).handler()], drain=draining),
            grpc.aio.insecure_channel(f"unix:{folder}/s") as channel,
        ):
            yield Service(gateway, faulty, folder / "s", channel)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await database.close()


def request_headers(
    seal: str, *more: tuple[str, str], method: str = "POST", path: str = CHAT, end: bool = False
) -> ProcessingRequest:
    """The request's headers with the seal that came from Check."""
    pairs = [(":method", method), (":path", path), (":authority", "gateway"), (":scheme", "http")]
    if not end:
        pairs.append(("content-type", "application/json"))
    message = ProcessingRequest(request_headers=_headers([*pairs, *more], end=end))
    message.metadata_context.filter_metadata[SEAL_NAMESPACE].update({"seal": seal})
    return message


def request_body(body: bytes, *, end: bool = True) -> ProcessingRequest:
    """A piece of the request's body."""
    return ProcessingRequest(request_body=HttpBody(body=body, end_of_stream=end))


def request_trailers(*pairs: tuple[str, str]) -> ProcessingRequest:
    """The request's trailers."""
    return ProcessingRequest(request_trailers=HttpTrailers(trailers=_map(pairs)))


def answer_headers(
    status: str = "200", *more: tuple[str, str], end: bool = False, kind: str = "application/json"
) -> ProcessingRequest:
    """The answer's headers."""
    pairs = [(":status", status), ("content-type", kind), *more]
    return ProcessingRequest(response_headers=_headers(pairs, end=end))


def answer_body(body: bytes, *, end: bool = False) -> ProcessingRequest:
    """A piece of the answer's body."""
    return ProcessingRequest(response_body=HttpBody(body=body, end_of_stream=end))


def answer_trailers(*pairs: tuple[str, str]) -> ProcessingRequest:
    """The answer's trailers."""
    return ProcessingRequest(response_trailers=HttpTrailers(trailers=_map(pairs)))


def _headers(pairs: Sequence[tuple[str, str]], *, end: bool) -> HttpHeaders:
    return HttpHeaders(headers=_map(pairs), end_of_stream=end)


def _map(pairs: Sequence[tuple[str, str]]) -> HeaderMap:
    return HeaderMap(headers=[HeaderValue(key=key, raw_value=value.encode()) for key, value in pairs])
