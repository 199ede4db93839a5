"""What a reviewer is shown beside the bytes: what was decided before, and what was found where."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from tests.servers.review_drafts import draft
from tests.servers.review_fakes import PEOPLE, LoopThread, make_hold, person
from tests.servers.test_review_with_store import as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.holds import Approval, Stage
from authz_service.core.likeness import compared
from authz_service.core.ports import HoldLimits, HoldState
from authz_service.masking.detectors import build_scanner
from authz_service.servers import review_context
from authz_service.servers.review_context import Before, Contexts

LEGAL = Approval("legal", (Stage("legal", 1, 1800.0),))
FIRST = ["Delete the backups of last week, please."]


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


class Desk:
    """Requests that wait, and reviewers' calls."""

    def __init__(self, thread: LoopThread, store: Any, api: HoldServiceStub) -> None:
        self.thread, self.store, self.api = thread, store, api
        self.count = 0

    def asks(self, *texts: str, **changes: Any) -> str:
        self.count += 1
        messages = [{"role": "user", "content": text} for text in texts]
        body = json.dumps({"model": "llama", "messages": messages, "seed": self.count}).encode()
        body = changes.pop("forward", body)
        digest = hashlib.sha256(body).hexdigest()
        made = replace(
            draft(self.count),
            forward=body,
            digest=digest,
            api="openai_chat",
            operation="chat_completions",
            **changes,
        )
        if made.caller is not PEOPLE["alice"]:
            made = replace(made, entries=())
        self.thread.run(self.store.open_hold(made, HoldLimits()))
        return made.id

    def decides(self, hold: str, *, person: str = "rita", approve: bool = True) -> None:
        digest = self.shown(hold, person=person).hold.digest
        if approve:
            self.api.ApproveHold(pb.ApproveHoldRequest(id=hold, digest=digest), metadata=as_(person))
        else:
            no = pb.RejectHoldRequest(id=hold, digest=digest, reason="not those")
            self.api.RejectHold(no, metadata=as_(person))

    def shown(self, hold: str, *, person: str = "rita") -> pb.GetHoldResponse:
        answer: pb.GetHoldResponse = self.api.GetHold(pb.GetHoldRequest(id=hold), metadata=as_(person))
        return answer


@pytest.fixture
def desk(thread: LoopThread, tmp_path: Path) -> Iterator[Desk]:
    scanner = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})
    with (
        served(thread, tmp_path, scanner=lambda: scanner) as (store, address),
        grpc.insecure_channel(address) as channel,
    ):
        yield Desk(thread, store, HoldServiceStub(channel))


def test_what_was_found_is_named_where_it_stands(desk: Desk) -> None:
    found = desk.shown(desk.asks("I am E-123456.")).context.found
    assert [(f.path, f.start, f.end, f.entity) for f in found] == [
        ("/messages/0/content", 5, 13, "EMPLOYEE_ID")
    ]


def test_the_messages_that_were_approved_before_are_counted(desk: Desk) -> None:
    first = desk.asks(*FIRST)
    assert not desk.shown(first).context.HasField("approved_before")
    desk.decides(first)
    refused = desk.asks(*FIRST, "Done.", "And those of this week.")
    desk.decides(refused, approve=False)
    before = desk.shown(desk.asks(*FIRST, "Done.", "And mine.")).context.approved_before
    assert (before.hold, before.messages) == (first, 1)
    assert not desk.shown(desk.asks("Other.", *FIRST)).context.HasField("approved_before")


def test_earlier_decisions_on_what_is_alike_are_told_with_who_and_why(desk: Desk) -> None:
    desk.decides(desk.asks("What is the weather like in Berlin today?"))
    refused = desk.asks("Delete the backups of last year, please.")
    desk.decides(refused, approve=False)
    (earlier,) = desk.shown(desk.asks(*FIRST)).context.earlier
    assert (earlier.id, earlier.state) == (refused, pb.HOLD_STATE_REJECTED)
    assert 20 <= earlier.likeness < 100
    assert [(vote.name, vote.reason) for vote in earlier.votes] == [("rita", "not those")]


def test_what_others_asked_what_other_rules_held_and_what_one_may_not_see_is_not_told(desk: Desk) -> None:
    other = person("eve", "contractors")
    desk.decides(desk.asks(*FIRST, caller=other), approve=False)
    desk.decides(desk.asks(*FIRST, rule="secrets"), approve=False)
    desk.decides(desk.asks(*FIRST, approvals=(LEGAL,)), person="lea")
    context = desk.shown(desk.asks(*FIRST)).context
    assert not context.earlier
    assert not context.HasField("approved_before")


def test_each_body_is_read_once_however_many_holds_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Mock(side_effect=compared)
    monkeypatch.setattr(review_context, "compared", reading)
    states = (HoldState.RELEASED, HoldState.REJECTED, HoldState.EXPIRED)
    bodies = [json.dumps({"messages": [*FIRST, n]}).encode() for n in range(10)]
    earlier = [make_hold(f"hld_{n}", body=body, state=states[n % 3]) for n, body in enumerate(bodies)]
    hold = make_hold("hld_x", body=b'{"messages": []}')
    store: Any = None
    Contexts(store)._made(hold, [Before(one, one.forward) for one in earlier], is_partial=False)
    assert sorted(call.args[0] for call in reading.call_args_list) == sorted([hold.forward, *bodies])


def test_it_says_where_the_new_turn_begins_as_rules_read_it(desk: Desk) -> None:
    assert desk.shown(desk.asks(*FIRST)).context.new_turn == "/messages/0"
    said, begun = ({"role": "assistant", "content": text} for text in ("Done.", ""))
    messages = [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "And those?"}, begun]
    body = json.dumps({"model": "llama", "messages": messages}).encode()
    assert desk.shown(desk.asks(forward=body)).context.new_turn == "/messages/2"
