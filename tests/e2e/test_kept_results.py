"""What a model server keeps is had by the caller that made it and by nobody else, after a restart too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from sqlalchemy import create_engine, text
from tests.e2e.people import approve, hold_of, in_background, reviewer
from tests.e2e.plain import Plain, data_of, kinds, on_record, staff
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.test_sdk_responses import message, streamed
from tests.e2e.upstream_answers import SSE_TYPE, Answer, whole

HI: dict[str, Any] = {"model": "llama", "input": "Hi"}
RULES = """\
    - {{name: keepers, when: "'keepers' in caller.groups", effect: allow, permits: [reference, store]}}
    - name: asking
      when: "'asking' in caller.groups"
      effect: hold
      approval: security
      permits: [reference]
"""
NOT_YOURS = (404, "reference_not_yours")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = CONFIG.replace("  rules:\n", f"  rules:\n{RULES}", 1)
    with Stack(tmp_path_factory.mktemp("kept"), config=config) as running:
        yield running


def keeper(stack: Stack, subject: str, group: str = "keepers") -> Plain:
    return Plain(stack, stack.token(subject, group))


def answered(name: str, **more: Any) -> Answer:
    head = {"id": name, "object": "response", "created_at": 1, "model": "llama", "status": "completed"}
    item = message("Good day.") | {"id": f"msg_{name}"}
    return whole(head | {"output": [item], "usage": {"input_tokens": 3, "output_tokens": 5}} | more)


def make(caller: Plain, name: str, body: dict[str, Any] = HI, **more: Any) -> str:
    """An answer that the model server keeps by this name; its session."""
    caller.stack.upstream.answer_with(answered(name, **more))
    reply = caller.ask(json.dumps(body).encode(), target="/v1/responses")
    assert reply.status == 200, reply
    return reply.session


def refused(caller: Plain, more: dict[str, Any], path: str = "/v1/responses", base: Any = None) -> str:
    """That nothing reaches the model; the session."""
    seen = len(caller.stack.upstream.requests)
    body = (base or HI) | more
    reply = caller.ask(json.dumps(body).encode(), target=path)
    assert reply.refusal == NOT_YOURS, reply
    assert "is not known to be yours" in reply.error["message"]
    assert len(caller.stack.upstream.requests) == seen
    session = on_record(caller.stack, reply.session)
    assert data_of(session, "request.refused")["code"] == "reference_not_yours"
    assert "request.released" not in kinds(session)
    return reply.session


def goes_on(caller: Plain, more: dict[str, Any]) -> None:
    caller.stack.upstream.answer_with(answered("resp_later"))
    reply = caller.ask(json.dumps(HI | more).encode(), target="/v1/responses")
    assert reply.status == 200, reply
    assert more.items() <= caller.stack.upstream.requests[-1].json().items()


def test_only_who_was_given_a_response_goes_on_with_it_and_a_restart_forgets_nothing(stack: Stack) -> None:
    alice, bob = keeper(stack, "alice"), keeper(stack, "bob")
    session = on_record(stack, make(alice, "resp_alice", conversation={"id": "conv_alice"}))
    names = kinds(session)
    assert names.index("answer.kept") < names.index("answer.released")
    assert len(data_of(session, "answer.kept")["names"]) == 3
    named: tuple[dict[str, Any], ...] = (
        {"previous_response_id": "resp_alice"},
        {"conversation": "conv_alice"},
        {"conversation": {"id": "conv_alice"}},
        {"input": [{"type": "item_reference", "id": "msg_resp_alice"}]},
        {"input": [{"role": "assistant", "id": "msg_resp_alice"}]},
    )
    for more in named:
        goes_on(alice, more)
        refused(bob, more)
    stack.stop()
    stack.start()
    alice, bob = keeper(stack, "alice"), keeper(stack, "bob")
    for more in named:
        refused(bob, more)
        goes_on(alice, more)


def test_a_name_that_nobody_was_given_is_refused_wherever_it_stands(stack: Stack) -> None:
    alice = keeper(stack, "alice")
    make(alice, "resp_one")
    for more in (
        {"previous_response_id": "resp_guessed"},
        {"previous_response_id": "resp_one "},
        {"conversation": "resp_one"},
        {"previous_response_id": "resp_one", "conversation": "conv_guessed"},
        {"input": [{"role": "user", "content": "Hi", "previous_response_id": "resp_guessed"}]},
        {"previous_response_id": "jane@example.com"},
        {"previous_response_id": ["resp_one"]},
        {"previous_response_id": ""},
        {"previous_response_id": {"id": "resp_one", "model": "x"}},
        {"conversation": {"id": "conv_1", "previous_response_id": "resp_one"}},
        {"conversation": {"id": 1}},
        {"input": [{"type": "item_reference", "id": "msg_resp_one", "previous_response_id": "resp_one"}]},
        {"new": {"file_id": {"previous_response_id": "resp_one"}}},
    ):
        refused(alice, more)
    chat = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
    refused(alice, {"previous_response_id": "resp_guessed"}, "/v1/chat/completions", chat)


@pytest.mark.parametrize(
    "more", [{"kv_transfer_params": {"remote_block_ids": [1]}}, {"session_params": {"id": "1"}}]
)
def test_a_state_of_the_server_that_no_answer_tells_of_is_refused_whatever_rules_say(
    stack: Stack, more: dict[str, Any]
) -> None:
    seen = len(stack.upstream.requests)
    reply = keeper(stack, "alice").ask(json.dumps(HI | more).encode(), target="/v1/responses")
    assert (reply.status, len(stack.upstream.requests)) == (400, seen)


def test_a_streamed_response_is_the_callers_before_the_stream_has_ended(stack: Stack) -> None:
    alice, bob = stack.sdk("alice", "keepers", max_retries=0), keeper(stack, "bob")
    gate, (first, *others) = stack.upstream.gate(), streamed("A rather long answer.", 4).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *others)))
    with alice.responses.create(model="llama", input="Hi", stream=True) as stream:
        made: Any = next(iter(stream))
        name = made.response.id
        refused(bob, {"previous_response_id": name})
        goes_on(keeper(stack, "alice"), {"previous_response_id": name})
        gate.open()
        assert [event.type for event in stream][-1] == "response.completed"
    with pytest.raises(openai.NotFoundError, match="not known to be yours") as error:
        stack.sdk("bob", "keepers", max_retries=0).responses.create(
            model="llama", input="And?", previous_response_id=name
        )
    assert error.value.code == "reference_not_yours"


def test_a_name_that_two_callers_were_given_is_nobodys(stack: Stack) -> None:
    alice, bob = keeper(stack, "alice"), keeper(stack, "bob")
    make(alice, "resp_twice")
    goes_on(alice, {"previous_response_id": "resp_twice"})
    make(bob, "resp_twice")
    refused(alice, {"previous_response_id": "resp_twice"})
    refused(bob, {"previous_response_id": "resp_twice"})


def test_what_a_caller_asked_not_to_keep_is_not_remembered(stack: Stack) -> None:
    alice = keeper(stack, "alice")
    session = on_record(stack, make(alice, "resp_unkept", HI | {"store": False}))
    assert "answer.kept" not in kinds(session)
    refused(alice, {"previous_response_id": "resp_unkept"})


def test_who_may_name_nothing_names_not_even_their_own(stack: Stack) -> None:
    plain = staff(stack, "carol")
    make(plain, "resp_carol")
    reply = plain.ask(
        json.dumps(HI | {"previous_response_id": "resp_carol"}).encode(), target="/v1/responses"
    )
    assert reply.refusal == (400, "unsupported_field")


def test_whoever_is_held_is_asked_at_once_and_others_see_no_hold(stack: Stack) -> None:
    alice, bob = keeper(stack, "alice", "asking"), keeper(stack, "bob", "asking")
    make(keeper(stack, "alice"), "resp_held")
    refused(bob, {"previous_response_id": "resp_held"})
    body = json.dumps(HI | {"previous_response_id": "resp_held"}).encode()
    waiting = in_background(lambda: alice.ask(body, target="/v1/responses"))
    hold = stack.wait_for_hold()
    stack.upstream.answer_with(answered("resp_after"))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    assert waiting.result(60).status == 200
    assert stack.upstream.requests[-1].json()["previous_response_id"] == "resp_held"


def test_what_a_reviewer_edits_into_a_request_is_asked_about_at_its_release(stack: Stack) -> None:
    make(keeper(stack, "bob"), "resp_bobs")
    make(keeper(stack, "ann"), "resp_anns")
    body = json.dumps(HI | {"previous_response_id": "resp_anns"}).encode()
    waiting = in_background(lambda: keeper(stack, "ann", "asking").ask(body, target="/v1/responses"))
    hold = hold_of(stack, "ann")
    seen = len(stack.upstream.requests)
    file = stack.folder / "edited.json"
    file.write_bytes(body.replace(b"resp_anns", b"resp_bobs"))
    stack.cli("hold", "edit", hold["id"], "--file", str(file), "--yes")
    approve(stack, hold_of(stack, "ann"), token=reviewer(stack, "rita"))
    assert waiting.result(60).refusal == NOT_YOURS
    assert len(stack.upstream.requests) == seen


def test_what_would_be_kept_goes_on_where_a_rule_permits_it_by_name_in_both_apis(stack: Stack) -> None:
    alice, carol = keeper(stack, "alice"), staff(stack, "carol")
    chat = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
    for path, body in (("/v1/responses", HI), ("/v1/chat/completions", chat)):
        kept = json.dumps(body | {"store": True}).encode()
        seen = len(stack.upstream.requests)
        reply = carol.ask(kept, target=path)
        assert (reply.refusal, len(stack.upstream.requests)) == ((400, "unsupported_field"), seen)
        assert "would keep the answer" in reply.error["message"]
        alice.ask(kept, target=path)
        assert stack.upstream.requests[-1].json()["store"] is True


def test_no_id_is_in_clear_beside_the_bodies_and_the_record_verifies(stack: Stack) -> None:
    alice = keeper(stack, "alice")
    make(alice, "resp_unguessable_0451")
    engine = create_engine(f"sqlite:///{stack.data / 'authz.db'}")
    with engine.connect() as connection:
        entries = connection.execute(text("SELECT body FROM entries")).scalars().all()
        rows = connection.execute(text("SELECT name, owner FROM kept_results")).all()
    engine.dispose()
    assert rows
    assert not any(b"resp_unguessable_0451" in bytes(body) for body in entries)
    assert not any("0451" in value for row in rows for value in row)
    stack.cli("audit", "verify", "--config", str(stack.config_file))
