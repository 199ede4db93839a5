"""The Process service on a Unix socket over a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
from tests.servers.faulty_store import Faulty
from tests.servers.played_stream import Play
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.audit.draft import Kind
from authz_service.cel.load import load_config
from authz_service.core.ports import Store
from authz_service.core.sessions import Entry
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealed, Sealer
from authz_service.runtime.draining import drain
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.pacing import Pace
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.waiting import Waiting
from authz_service.servers.ext_proc import ProcessServer
from authz_service.servers.gateway import serve_gateway
from authz_service.servers.wire.ext_proc_pb2 import (
    ProcessingRequest,
    ProcessingResponse,
)
from authz_service.servers.wire.methods import PROCESS
from authz_service.store.open import open_store
from authz_service.view.caller import Caller

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
        async with asyncio.timeout(60):
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
        async with asyncio.timeout(60):
            while session in self.gateway.live or self.store.under_way:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(
    folder: Path, config: str = CONFIG, *, store: Callable[[Store], Faulty] = Faulty, url: str = ""
) -> AsyncIterator[Service]:
    """The service, on a socket and a database in `folder`, or at `url`; `store` makes it worse than it is."""
    file = folder / "authz.yaml"
    file.write_text(config)
    database = await open_store(url or f"sqlite:///{folder}/record.db", instance="test", pseudonym="/".join)
    faulty = store(database)
    gateway = Gateway(
        store=cast(Store, faulty),
        rules=rules_of(load_config(file)),
        sealer=Sealer(bytes(range(32))),
        pseudonym="/".join,
        waiting=Waiting(cast(Store, faulty), Pace(lambda: 500.0)),
        recorder=Recorder(cast(Store, faulty)),
        usage=database,
        started_at=time.time() - 60,  # what a test made before it was opened did not begin before it
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
