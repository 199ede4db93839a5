"""A review API over a real store and real detectors, of which one reviewer is not to see all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import draft
from tests.servers.stored_review import as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.acts import AnswerHead
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Unavailable
from authz_service.masking.seams import Scanner
from authz_service.runtime.concealing import Concealing
from authz_service.runtime.revising import Revising
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads

CONFIG = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
requests: {default: allow}
detectors: [{name: EMPLOYEE_ID, pattern: 'E-[0-9]{6}'}]
review: {conceal: [{entities: [EMAIL_ADDRESS, CREDIT_CARD]}]}
masks: [{name: ids, in: [requests, answers], entities: [EMPLOYEE_ID], with: type}]
"""


@dataclass
class Desk:
    """What alice sends waits here; rita sees it, and from cora addresses and card numbers are concealed."""

    thread: LoopThread
    store: Any
    address: str
    api: HoldServiceStub
    numbers: Iterator[int]
    seen: list[bytes]
    """What the concealed reviewer was sent, messages and refusals."""

    def hold(self, body: bytes, answer: AnswerHead | None = None) -> str:
        """Have a request wait, or an answer; its id."""
        made = replace(
            draft(next(self.numbers)),
            forward=body,
            digest=hashlib.sha256(body).hexdigest(),
            api="openai_chat",
            operation="chat_completions",
            answer=answer,
        )
        self.thread.run(self.store.open_hold(made, HoldLimits(pending_per_caller=1000)))
        return made.id

    def bytes_of(self, hold: str) -> bytes:
        """The very bytes that wait."""
        found: bytes = self.thread.run(self.store.hold(hold)).forward
        return found

    def state_of(self, hold: str) -> HoldState:
        state: HoldState = self.thread.run(self.store.hold(hold)).state
        return state

    def ask(self, verb: str, request: Message, *, person: str = "cora") -> Any:
        """A call; what the concealed reviewer gets of it is remembered."""
        try:
            answer = getattr(self.api, verb)(request, metadata=as_(person))
        except grpc.RpcError as error:
            if person == "cora":
                self.seen.append(str(error).encode())
            raise
        if person == "cora":
            self.seen.append(answer.SerializeToString())
        return answer

    def get(self, hold: str, *, person: str = "cora") -> Any:
        return self.ask("GetHold", pb.GetHoldRequest(id=hold), person=person)

    def refusal(self, verb: str, request: Message) -> tuple[str, str]:
        """The code and the words of a refusal to the concealed reviewer."""
        with pytest.raises(grpc.RpcError) as caught:
            self.ask(verb, request)
        error: Any = caught.value
        return str(dict(error.trailing_metadata())["authz-code"]), str(error.details())


def rules_in(folder: Path, config: str = CONFIG) -> Rules:
    """Those of such a file."""
    (folder / "authz.yaml").write_text(config)
    return rules_of(load_config(folder / "authz.yaml"))


class Failing:
    """Detectors that cannot read a text with `word`."""

    entities = frozenset({"EMAIL_ADDRESS"})

    def __init__(self, word: str = "") -> None:
        self.word = word

    def scan(self, text: str, *, embedded_json: bool = False) -> Any:
        if self.word in text:
            raise Unavailable("a detector failed", code="detector_failed")
        return ()

    def incremental(self, *, embedded_json: bool = False) -> Any:
        raise Unavailable("a detector failed", code="detector_failed")


@contextmanager
def desk_of(thread: LoopThread, folder: Path, scanner: Scanner | None = None) -> Iterator[Desk]:
    """A desk with an empty store, at which `scanner`, if any, finds what is concealed."""
    rules = rules_in(folder)
    desk: list[Desk] = []

    async def entries(session: str) -> Any:
        return await desk[0].store.entries(session)

    reviser = Revising(lambda: rules, lambda: 0.0, Threads(), entries)
    by = rules if scanner is None else replace(rules, request_scanner=scanner)
    concealer = Concealing(lambda: by, Threads())
    with (
        served(thread, folder, lambda: rules.scanner, reviser, concealer=concealer) as (store, address),
        grpc.insecure_channel(address) as channel,
    ):
        desk.append(Desk(thread, store, address, HoldServiceStub(channel), count(), []))
        yield desk[0]


def chat(*contents: str, **more: Any) -> bytes:
    """A request that says these, one turn of the user's after the other."""
    messages = [{"role": "user", "content": content} for content in contents]
    return json.dumps({"model": "llama", "messages": messages, **more}, indent=1).encode()
