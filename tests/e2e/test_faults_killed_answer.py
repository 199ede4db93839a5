"""The service is killed while the model answers: the client gets an error or a cut, all of it on record."""

from __future__ import annotations

from tests.e2e.faults import RESTART, assert_goes_on, kill_service
from tests.e2e.plain import HELLO, RECOVERED, data_of, kinds, on_record, sessions_of, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import JSON_TYPE, SSE_TYPE, Answer, completion, stream

EMAIL = "john@example.org"
WORDS = stream(["Hello there, ", "write to john@exam", "ple.org ", "today."])


def test_killed_while_the_model_thinks_the_client_gets_an_error_and_the_model_stops(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate,)))
    caller = staff(stack, "thinker")
    seen = len(stack.upstream.requests)
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(caller.head(size=len(HELLO)) + HELLO)
        asked = stack.upstream.wait_for_requests(seen + 1)[-1]
        kill_service(stack)
        reply = client.reply()
    assert reply.refusal == (503, "gateway_unavailable")
    assert asked.left.wait(60)
    assert_goes_on(stack)
    (session,) = sessions_of(stack, "thinker")
    known = data_of(on_record(stack, session["id"], end=RECOVERED), RECOVERED)
    assert known == {"request_released": True, "answer_released": False}
    assert [r.body for r in stack.upstream.requests[seen:]].count(HELLO) == 2, (
        "once, and once to see that it goes on"
    )


def test_killed_while_it_reads_an_answer_nothing_unmasked_of_it_crosses(stack: Stack) -> None:
    gate = stack.upstream.gate()
    (body,) = completion(f"Write to {EMAIL}.").steps
    assert isinstance(body, bytes)
    stack.upstream.answer_with(Answer(headers=JSON_TYPE, steps=(body[:-9], gate, body[-9:])))
    caller = staff(stack, "half")
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(caller.head(size=len(HELLO)) + HELLO)
        assert gate.reached.wait(60)
        kill_service(stack)
        gate.open()
        reply = client.reply()
    assert (reply.status, EMAIL.encode() in reply.body) == (503, False)
    assert_goes_on(stack)


def test_killed_in_the_middle_of_a_stream_the_client_has_what_is_on_record(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, second, *rest = WORDS.steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, second, gate, *rest)))
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(staff(stack, "listener").head(size=len(HELLO)) + HELLO)
        status, headers = client.reply_head()
        start = client.read_until(b"there, ")
        assert gate.reached.wait(60)
        kill_service(stack)
        gate.open()
        received = start + client.read_until(b"\r\n0\r\n")
    assert status == 200
    assert not received.endswith(b"\r\n0\r\n"), "the answer was ended as if it were whole"
    assert b"john" not in received
    assert_goes_on(stack)
    session = on_record(stack, dict(headers)["x-authz-session"], end=RECOVERED)
    assert session["status"] == "interrupted"
    assert kinds(session)[-2:] == ["answer.released", RECOVERED]
    assert data_of(session, RECOVERED) == {"request_released": True, "answer_released": True}
    assert "Hello there, " in session["answer"]
