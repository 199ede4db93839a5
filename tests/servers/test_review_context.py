"""What a reviewer is shown beside the bytes: what was decided before, and what was found where."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import draft
from tests.servers.review_made import make_hold
from tests.servers.review_people import PEOPLE, person
from tests.servers.stored_review import as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.holds import Approval, Stage
from authz_service.core.likeness import compared
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.inspection import shown as inspection_shown
from authz_service.inspection.reading import read_again
from authz_service.masking.detectors import build_scanner
from authz_service.servers import review_context
from authz_service.servers.review_context import Before, Contexts

LEGAL = Approval("legal", (Stage("legal", 1, 1800.0),))
FIRST = ["Delete the backups of last week, please."]


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
        of = {"api": "openai_chat", "operation": "chat_completions"} | changes
        made = replace(draft(self.count), forward=body, digest=digest, **of)
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


def test_what_stands_beside_a_conversation_does_not_pass_for_what_was_approved(desk: Desk) -> None:
    """A caller adds `messages` to a Responses request: no turn of it was approved for that."""
    responses = {"api": "openai_responses", "operation": "responses"}
    beside = {"model": "m", "store": False, "messages": [{"role": "user", "content": "x"}] * 3}

    def asks(*texts: str) -> str:
        said = [{"role": "user", "content": text} for text in texts]
        return desk.asks(forward=json.dumps({**beside, "input": said}).encode(), **responses)

    desk.decides(asks("Say hello."))
    context = desk.shown(asks("Wire the money.", "Now.")).context
    assert not context.HasField("approved_before")
    assert [turn.was_approved for turn in context.conversation.turns] == [False, False]
    context = desk.shown(asks("Say hello.", "Now.")).context
    assert context.approved_before.messages == 1
    assert [turn.was_approved for turn in context.conversation.turns] == [True, False]


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


def rows(parts: Any) -> list[str]:
    return [row.text or row.literal for part in parts for row in part.rows]


def test_all_of_a_request_is_laid_out_turn_by_turn(desk: Desk) -> None:
    body = json.dumps(
        {
            "model": "llama",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": "Wipe it."},
                {"type": "function_call", "call_id": "c", "name": "wipe", "arguments": '{"who": "E-123456"}'},
                {"type": "function_call_output", "call_id": "c", "output": "done"},
            ],
            "temperature": 0.5,
        }
    ).encode()
    context = desk.shown(desk.asks(forward=body, api="openai_responses", operation="responses")).context
    said = context.conversation
    assert [(turn.path, turn.role, turn.speaker, turn.is_new) for turn in said.turns] == [
        ("/instructions", "", pb.SPEAKER_SYSTEM, False),
        ("/input/0", "user", pb.SPEAKER_USER, False),
        ("/input/1", "function_call", pb.SPEAKER_ASSISTANT, False),
        ("/input/2", "function_call_output", pb.SPEAKER_TOOL, True),
    ]
    assert [(part.kind, part.path, part.name) for turn in said.turns for part in turn.parts] == [
        (pb.PART_KIND_TEXT, "/instructions", ""),
        (pb.PART_KIND_TEXT, "/input/0/content", ""),
        (pb.PART_KIND_TOOL_CALL, "/input/1", "wipe"),
        (pb.PART_KIND_TOOL_RESULT, "/input/2", "c"),
    ]
    (call,) = said.turns[2].parts
    told = {
        row.key: (row.depth, row.text, [(f.start, f.end, f.entity) for f in row.found]) for row in call.rows
    }
    assert told["name"] == (1, "wipe", [])
    assert told["arguments"] == (1, '{"who": "E-123456"}', [(9, 17, "EMPLOYEE_ID")])
    assert rows(said.rest) == ["llama", "0.5"]
    assert (context.left_out, context.found_is_partial) == (pb.LEFT_OUT_UNSPECIFIED, False)


def test_each_turn_says_whether_it_stood_there_when_it_was_approved(desk: Desk) -> None:
    def body(*texts: str, system: str) -> bytes:
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
        return json.dumps({"model": "m", "max_tokens": 9, "system": system, "messages": messages}).encode()

    anthropic = {"api": "anthropic", "operation": "messages"}

    def marks(forward: bytes) -> list[tuple[str, bool]]:
        hold = desk.shown(desk.asks(forward=forward, api="anthropic", operation="messages"))
        turns = hold.context.conversation.turns
        return [(turn.path, turn.was_approved) for turn in turns]

    first = desk.asks(forward=body("a", system="s"), **anthropic)
    desk.decides(first)
    assert marks(body("a", "b", "c", system="s")) == [
        ("/system", True),
        ("/messages/0", True),
        ("/messages/1", False),
        ("/messages/2", False),
    ]
    assert marks(body("a", "b", "d", system="t"))[0] == ("/system", False)


@pytest.mark.parametrize(
    ("of", "said", "places"),
    [
        (("openai_completions", "completions"), {"model": "m", "prompt": "Wipe it."}, ["/prompt"]),
        (("tgi", "generate"), {"inputs": "Wipe it."}, ["/inputs"]),
        (("llamacpp", "completion"), {"prompt": "Wipe it."}, ["/prompt"]),
        (("ollama", "generate"), {"model": "m", "system": "s", "prompt": "Wipe it."}, ["/system", "/prompt"]),
        (
            ("open_inference", "infer"),
            {"inputs": [{"name": "p", "shape": [1], "datatype": "BYTES", "data": ["Wipe it."]}]},
            ["/inputs/0"],
        ),
    ],
)
def test_what_was_approved_is_told_of_apis_without_messages_too(
    of: tuple[str, str], said: Any, places: list[str], desk: Desk
) -> None:
    api = {"api": of[0], "operation": of[1]}
    first = desk.asks(forward=json.dumps(said | {"temperature": 0.1}).encode(), **api)
    desk.decides(first)
    context = desk.shown(desk.asks(forward=json.dumps(said | {"temperature": 0.2}).encode(), **api)).context
    assert (context.approved_before.hold, context.approved_before.messages) == (first, len(places))
    assert [(turn.path, turn.was_approved) for turn in context.conversation.turns] == [
        (place, True) for place in places
    ]
    other = json.dumps(said).replace("Wipe it.", "Wipe all.").encode()
    turns = desk.shown(desk.asks(forward=other, **api)).context.conversation.turns
    assert not turns[-1].was_approved


def test_it_says_where_likeness_goes_by_the_end_of_what_was_said(desk: Desk) -> None:
    desk.decides(desk.asks(*FIRST))
    assert not desk.shown(desk.asks("Delete those.")).context.likeness_is_partial
    context = desk.shown(desk.asks("so " * 10_000)).context
    assert (context.likeness_is_partial, context.is_partial) == (True, False)


def test_what_is_no_conversation_says_why(desk: Desk) -> None:
    unread = desk.shown(desk.asks(forward=b'{"messages": 1}'))
    assert (unread.context.left_out, len(unread.hold.unread)) == (pb.LEFT_OUT_UNREADABLE, 1)
    much = b'{"model":"m","messages":[{"role":"user","content":"E-123456"}],"x":[%s]}' % (
        b"1," * 100_000 + b"1"
    )
    context = desk.shown(desk.asks(forward=much)).context
    assert (context.left_out, context.found_is_partial) == (pb.LEFT_OUT_TOO_MANY_VALUES, True)
    assert not context.HasField("conversation")


def test_a_request_is_read_once_to_be_shown_and_not_on_the_event_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def reading(*of: Any) -> Any:
        threads.append(threading.current_thread().name)
        return read_again(*of)

    monkeypatch.setattr(inspection_shown, "read_again", reading)
    desk.shown(desk.asks(*FIRST))
    (name,) = threads
    assert name.startswith("asyncio_")  # of the loop's executor
    assert name != desk.thread.run(_thread_name())


async def _thread_name() -> str:
    return threading.current_thread().name
