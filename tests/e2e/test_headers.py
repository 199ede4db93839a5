"""What crosses beside the body: by list, judged, and never a credential."""

from __future__ import annotations

import json

import pytest
from tests.e2e.plain import HELLO, PATH, Header, Plain, data_of, on_record, staff
from tests.e2e.raw_client import RawClient, Reply
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import JSON_TYPE, Answer, completion

CARD = "4111 1111 1111 1111"
CROSSING = {"host", "content-type", "accept-encoding", "transfer-encoding", "content-length"}


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


def asked(alice: Plain) -> set[str]:
    """The names of the headers that the model got last."""
    return {name.lower() for name, _ in alice.stack.upstream.requests[-1].headers}


SPOOFED: tuple[Header, ...] = (
    ("x-authz-model", "other"),
    ("x-authz-session", "ses_forged"),
    ("x-authz-decision", "allow"),
    ("x-envoy-original-path", "/v1/other"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-retry-on", "5xx"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-host", "other"),
    ("x-request-id", "forged"),
    ("forwarded", "for=10.0.0.1"),
    ("accept-encoding", "gzip"),
    ("te", "trailers"),
)


def test_what_only_the_gateway_may_say_is_not_taken_from_a_client(alice: Plain) -> None:
    reply = alice.ask(HELLO, *SPOOFED)
    assert reply.status == 200
    assert asked(alice) <= CROSSING
    seen = alice.stack.upstream.requests[-1]
    assert seen.header("accept-encoding") == ["identity"]
    assert seen.header("host") == [alice.stack.upstream.url.removeprefix("http://")]
    assert reply.session != "ses_forged"
    assert data_of(on_record(alice.stack, reply.session), "request.released")["model"] == "llama"


CREDENTIALS = (
    "proxy-authorization",
    "cookie",
    "x-goog-api-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-forwarded-access-token",
    "x-csrf-token",
    "ocp-apim-subscription-key",
)


def test_no_credential_reaches_the_model_or_the_record(alice: Plain) -> None:
    secret = "credential-of-a-caller"
    keys = [("x-api-key", alice.token), ("api-key", alice.token)]
    reply = alice.ask(HELLO, *keys, *[(name, secret) for name in CREDENTIALS])
    assert reply.status == 200
    assert asked(alice) <= CROSSING
    said = json.dumps(on_record(alice.stack, reply.session))
    assert secret not in said
    assert alice.token not in said
    assert alice.token.split(".")[2] not in alice.stack.logs()


def test_listed_headers_cross_and_no_others(alice: Plain) -> None:
    listed = [("user-agent", "tests/1"), ("openai-beta", "assistants=v2"), ("idempotency-key", "k-1")]
    reply = alice.ask(HELLO, *listed, ("x-custom", "1"), ("referer", "http://intranet/"))
    assert reply.status == 200
    seen = alice.stack.upstream.requests[-1]
    assert asked(alice) <= CROSSING | {name for name, _ in listed}
    assert [seen.header(name) for name, _ in listed] == [[value] for _, value in listed]


UNREADABLE_VALUES = {
    "personal data": f"pay/{CARD}",
    "a secret": "key AKIAIOSFODNN7EXAMPLE",
    "bytes that are no UTF-8": "caf\xe9",
}


@pytest.mark.parametrize("name", UNREADABLE_VALUES)
def test_a_header_value_with_a_finding_or_without_a_reading_stays_here(alice: Plain, name: str) -> None:
    value = UNREADABLE_VALUES[name]
    reply = alice.ask(HELLO, ("user-agent", value), ("openai-beta", "assistants=v2"))
    assert reply.status == 200
    seen = alice.stack.upstream.requests[-1]
    assert (seen.header("user-agent"), seen.header("openai-beta")) == ([], ["assistants=v2"])
    assert value not in json.dumps(on_record(alice.stack, reply.session), ensure_ascii=False)


def refused(reply: Reply, status: int, code: str) -> bool:
    return reply.refusal == (status, code)


def test_two_different_credentials_are_401_and_the_same_one_twice_is_not(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    assert refused(alice.ask(HELLO, ("x-api-key", "other")), 401, "ambiguous_credentials")
    assert alice.ask(HELLO, ("authorization", "Bearer other")).status == 401
    assert alice.ask(HELLO, ("authorization", "Basic b3RoZXI=")).status == 401
    assert len(alice.stack.upstream.requests) == seen
    assert alice.ask(HELLO, ("x-api-key", alice.token)).status == 200


def test_a_refusal_of_the_unauthenticated_has_a_shape_and_no_session(stack: Stack) -> None:
    reply = Plain(stack, "nonsense").ask(HELLO)
    assert reply.status == 401
    assert reply.error["type"] == "authentication_error"
    assert reply.header("www-authenticate") == 'Bearer error="invalid_token"'
    assert reply.header("x-authz-session") is None


def test_the_query_reaches_no_model_and_no_record(alice: Plain) -> None:
    reply = alice.ask(HELLO, target=f"{PATH}?api_key=sk-1&card=4111111111111111")
    assert reply.status == 200
    assert alice.stack.upstream.requests[-1].path == PATH
    assert "4111111111111111" not in json.dumps(on_record(alice.stack, reply.session))
    assert "sk-1" not in alice.stack.logs()


MALFORMED: dict[str, bytes] = {
    "a NUL": b"user-agent: a\0b\r\n",
    "an underscore": b"x_authz_model: llama\r\n",
    "a space in its name": b"x authz: 1\r\n",
    "no name": b": 1\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_header_that_has_two_readings_is_cut_off(alice: Plain, name: str) -> None:
    seen = len(alice.stack.upstream.requests)
    start, end = alice.head(size=len(HELLO)).split(b"\r\n", 1)
    with RawClient(alice.stack.url) as client:
        client.send_what_is_taken(start + b"\r\n" + MALFORMED[name] + end + HELLO)
        answer = client.read()
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert len(alice.stack.upstream.requests) == seen


@pytest.mark.parametrize("value", ["a\rx-authz-model: b", "a\r\n x-authz-model: b"])
def test_a_line_end_within_a_value_adds_no_header(alice: Plain, value: str) -> None:
    reply = alice.ask(HELLO, ("user-agent", value))
    assert reply.status == 200
    (agent,) = alice.stack.upstream.requests[-1].header("user-agent")
    assert "\r" not in agent
    assert asked(alice) <= CROSSING | {"user-agent"}


FROM_THE_MODEL: tuple[Header, ...] = (
    ("set-cookie", "session=1"),
    ("server", "vllm"),
    ("x-powered-by", "uvicorn"),
    ("x-internal", "10.0.0.7"),
    ("x-authz-session", "ses_forged"),
    ("x-authz-model", "other"),
    ("x-should-retry", "true"),
    ("www-authenticate", "Basic"),
    ("location", "http://elsewhere.example/"),
    ("x-request-id", CARD),
    ("request-id", "jane@example.com"),
    ("retry-after", "AKIAIOSFODNN7EXAMPLE"),
)


def test_a_models_headers_cross_by_list_and_judged(alice: Plain) -> None:
    listed = (("openai-version", "2020-10-01"), ("cache-control", "no-store"))
    alice.stack.upstream.answer_with(
        Answer(headers=(*JSON_TYPE, *listed, *FROM_THE_MODEL), steps=completion("Hi").steps)
    )
    reply = alice.ask(HELLO)
    assert reply.status == 200
    names = {name for name, _ in reply.headers}
    crossed = {"content-type", "openai-version", "cache-control", "x-authz-session"}
    assert names - {"date", "transfer-encoding", "content-length"} == crossed
    assert reply.session != "ses_forged"
    recorded = data_of(on_record(alice.stack, reply.session), "answer.started")["headers"]
    assert recorded == dict((*JSON_TYPE, *listed))
