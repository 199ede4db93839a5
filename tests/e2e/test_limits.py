"""Limits before a real Envoy: refused in the API's shape, told on every answer, counted to the last token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.e2e.people import chat, in_background, until
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import Answer, completion, stream, whole

LIMITS = """\
limits:
  callers:
    - {{groups: [two], requests_per_minute: 2}}
    - {{groups: [one], concurrent: 1}}
    - {{groups: [careful], models: [llama], open_holds: 1}}
    - {{groups: [frugal], tokens_per_minute: 1000, tokens_per_day: 2000}}
  models:
    - {{names: [llama], concurrent: 100}}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = CONFIG.replace("limits: {{body: 8MiB, depth: 64}}\n", LIMITS)
    with Stack(tmp_path_factory.mktemp("limits"), config=config) as running:
        yield running


def end_of(stack: Stack, session: str) -> dict[str, Any]:
    """What the last entry of an exchange says, once it is there."""

    def look() -> dict[str, Any] | None:
        found = [e for e in stack.session(session)["events"] if e["kind"] == "exchange.ended"]
        return dict(found[-1]["data"]) if found else None

    return until(look, "its end is on record") or {}


def test_a_third_request_in_a_minute_is_refused_as_openai_would_and_on_record(stack: Stack) -> None:
    client = stack.sdk("tom", "staff", "two", max_retries=0)
    said = [{"role": "user", "content": "Hello"}]
    left = []
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=said)  # type: ignore[arg-type]  # plain
        assert raw.headers["x-ratelimit-limit-requests"] == "2"
        assert raw.headers["x-ratelimit-reset-requests"] == "1m0s"
        left.append(raw.headers["x-ratelimit-remaining-requests"])
    assert left == ["1", "0"]
    before = len(stack.upstream.requests)
    with pytest.raises(openai.RateLimitError, match="2 requests in a minute is the most") as refused:
        client.chat.completions.create(model="gpt-4o", messages=said)  # type: ignore[arg-type]  # plain
    assert len(stack.upstream.requests) == before
    headers = refused.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.value.code == "rate_limit_exceeded"
    session = stack.session(headers["x-authz-session"])
    assert (session["status"], session["model"]) == ("limited", "llama")
    data = {e["kind"]: e["data"] for e in session["events"]}
    assert data["request.refused"]["limit"] == "caller.requests_per_minute"
    assert "request.released" not in data
    # Another caller of the same groups has its own, and who is in none of them has no headers either.
    assert stack.post(chat("Hello"), "staff", "two", subject="una").status_code == 200
    free = stack.post(chat("Hello"), "staff", subject="vic")
    assert not [name for name in free.headers if "ratelimit" in name]


def test_a_caller_in_a_loop_is_on_record_once_and_how_often_with_it(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate, *completion("slow").steps)))
    slow = in_background(lambda: stack.post(chat("slow"), "staff", "one", subject="rex"))
    assert gate.reached.wait(60)
    refused = [stack.post(chat(f"again {n}"), "staff", "one", subject="rex") for n in range(6)]
    gate.open()
    assert slow.result(60).status_code == 200
    assert {answer.status_code for answer in refused} == {429}
    (session,) = {answer.headers["x-authz-session"] for answer in refused}
    assert {answer.json()["error"]["session"] for answer in refused} == {session}
    listed = stack.cli_json("session", "list", "--caller", "rex")
    assert [one["id"] for one in listed if one["status"] == "limited"] == [session]
    stack.stop()  # what is counted goes on record at the latest then
    stack.start()
    told = {event["kind"]: event["data"] for event in stack.session(session)["events"]}
    counted = {"code": "rate_limit_exceeded", "count": 5, "limit": "caller.concurrent"}
    assert told["request.refused_again"] == counted
    for how in ("show", "replay"):
        assert "5 more like it were refused" in stack.cli("session", how, session).stdout
    (used,) = stack.cli_json("usage", "--caller", "rex")
    assert (used["requests"], used["limited"]) == (1, 6)
    stack.cli("audit", "verify", "--live", "--config", str(stack.config_file))


def test_no_more_holds_of_a_model_wait_for_people_than_a_caller_may_have(stack: Stack) -> None:
    def ask(text: str) -> httpx.Response:
        later = {"prefer": "respond-async"}
        return stack.post(chat(text), "contractors", "careful", subject="cai", headers=later)

    assert ask("one").json()["error"]["code"] == "approval_pending"
    refused = ask("two")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["limit"]) == (429, "rate_limit_exceeded", "open_holds")
    assert "one caller may have of llama" in error["message"]
    assert refused.headers["retry-after"] == "60"
    assert ask("one").json()["error"]["code"] == "approval_pending"
    told = {
        event["kind"]: event["data"] for event in stack.session(refused.headers["x-authz-session"])["events"]
    }
    assert told["request.refused"]["limit"] == "caller.open_holds"
    (left,) = stack.cli_json("usage", "--left", "--caller", "cai")
    assert (left["limit"], left["models"], left["used"], left["left"]) == ("open_holds", ["llama"], 1, 0)


def test_what_the_rules_deny_fills_the_record_no_faster_than_limits_permit(stack: Stack) -> None:
    body = chat("the words of somebody whom nobody lets in")
    answers = [stack.post(body, "two", subject="wim") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    denied, refused = (
        {event["kind"]: event["data"] for event in stack.session(answer.headers["x-authz-session"])["events"]}
        for answer in (answers[0], answers[2])
    )
    assert "request.decided" in denied
    assert (denied["request.received"]["tokens"], denied["request.received"]["bytes"] > 50) == (0, True)
    assert refused["request.refused"]["limit"] == "caller.requests_per_minute"
    assert "request.decided" not in refused


def test_an_sdk_that_retries_gets_through_when_its_other_request_has_ended(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate, *completion("slow").steps)))
    slow = in_background(lambda: stack.post(chat("slow"), "staff", "one", subject="olga"))
    assert gate.reached.wait(60)
    refused = stack.post(chat("again"), "staff", "one", subject="olga")
    assert (refused.status_code, refused.json()["error"]["limit"]) == (429, "concurrent")
    client = stack.sdk("olga", "staff", "one", max_retries=8)
    statuses: list[int] = []

    def seen(answer: httpx.Response) -> None:
        statuses.append(answer.status_code)
        gate.open()

    client._client.event_hooks = {"response": [seen]}
    answer = client.chat.completions.create(model="llama", messages=[{"role": "user", "content": "go on"}])
    assert answer.choices[0].message.content
    assert statuses[0] == 429
    assert statuses[-1] == 200
    assert slow.result(60).status_code == 200


def test_tokens_are_reserved_by_the_estimate_and_then_counted_as_the_model_said(stack: Stack) -> None:
    def ask(**more: Any) -> httpx.Response:
        return stack.post(chat("Hello", **more), "staff", "frugal", subject="fay")

    huge = ask(max_tokens=1001)
    assert (huge.status_code, huge.json()["error"]["code"]) == (429, "request_above_limit")
    assert huge.headers["x-should-retry"] == "false"
    assert "retry-after" not in huge.headers
    first = ask(max_tokens=900)
    assert first.status_code == 200
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100
    # The model said that it were 6: there is room for as much again.
    second = ask(max_tokens=900)
    assert second.status_code == 200
    session = stack.session(second.headers["x-authz-session"])
    assert session["events"][0]["data"]["tokens"] > 900
    stack.upstream.answer_with(
        whole(
            {
                "object": "chat.completion",
                "choices": [],
                "usage": {"prompt_tokens": 5, "completion_tokens": 990},
            }
        )
    )
    assert ask().status_code == 200
    spent = ask()
    assert (spent.status_code, spent.json()["error"]["limit"]) == (429, "tokens_per_minute")
    assert spent.headers["x-ratelimit-limit-tokens"] == "1000"


def test_a_stream_whose_model_says_no_usage_counts_its_events(stack: Stack) -> None:
    stack.upstream.answer_with(stream(["word "] * 50))
    answer = stack.post(chat("Hello", stream=True), "staff", "frugal", subject="gil")
    assert answer.status_code == 200
    assert 50 <= end_of(stack, answer.headers["x-authz-session"])["tokens"] <= 120


def test_who_breaks_off_an_answer_has_used_what_of_it_has_come(stack: Stack) -> None:
    gate = stack.upstream.gate()
    words = stream([f"word{n}. " for n in range(60)])
    stack.upstream.answer_with(
        Answer(headers=words.headers, steps=(*words.steps[:50], gate, *words.steps[50:]))
    )
    headers = {"authorization": f"Bearer {stack.token('hal', 'staff', 'frugal')}"}
    url = f"{stack.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=chat("Hello", stream=True), headers=headers, timeout=60) as answer:
        came = ""
        for text in answer.iter_text():
            came += text
            if "word40" in came:
                break
    ended = end_of(stack, answer.headers["x-authz-session"])
    assert ended["outcome"] == "broken_off"
    assert 40 <= ended["tokens"] <= 120


def test_anthropics_sdk_is_told_in_its_own_headers(stack: Stack) -> None:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "llama", "stop_sequence": None}
    usage = {"input_tokens": 1, "output_tokens": 1}
    body = head | {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": usage}
    client = anthropic.Anthropic(
        base_url=stack.url, auth_token=stack.token("ida", "staff", "two"), api_key=None, max_retries=0
    )
    for left in ("1", "0"):
        stack.upstream.answer_with(whole(body))
        raw = client.messages.with_raw_response.create(
            model="llama", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        )
        assert raw.headers["anthropic-ratelimit-requests-limit"] == "2"
        assert raw.headers["anthropic-ratelimit-requests-remaining"] == left
        assert raw.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    with pytest.raises(anthropic.RateLimitError) as refused:
        client.messages.create(model="llama", max_tokens=9, messages=[{"role": "user", "content": "Hello"}])
    assert int(refused.value.response.headers["retry-after"]) >= 1
    assert refused.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]  # an object


def test_a_key_has_no_more_than_the_tokens_of_its_scope(stack: Stack) -> None:
    words = ("--owner", "olga", "--group", "staff", "--model", "llama", "--tokens-per-day", "500")
    key = stack.cli_json("key", "create", *words)
    assert "tokens:500" in key["scope"]
    client = stack.sdk(api_key=key["secret"], max_retries=0)
    said: Any = [{"role": "user", "content": "Hello"}]
    assert client.chat.completions.create(model="llama", messages=said, max_tokens=400)
    usage = {"prompt_tokens": 5, "completion_tokens": 600}
    stack.upstream.answer_with(whole({"object": "chat.completion", "choices": [], "usage": usage}))
    assert client.chat.completions.create(model="llama", messages=said)
    with pytest.raises(openai.RateLimitError, match="500 tokens in a day") as refused:
        client.chat.completions.create(model="llama", messages=said)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert int(refused.value.response.headers["retry-after"]) > 86_000


def test_the_record_verifies_with_what_limits_count(stack: Stack) -> None:
    stack.cli("audit", "verify", "--config", str(stack.config_file))
