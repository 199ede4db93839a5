"""Which requests are which: a path is judged and sent in one spelling, or refused; nothing is tunnelled."""

from __future__ import annotations

import pytest
from tests.e2e.plain import HELLO, PATH, Header, Plain, data_of, on_record, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import whole


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


SAME_PATH = (
    "//v1/chat//completions",
    "/v1/./chat/completions",
    "/v1/x/../chat/completions",
    "/%2e/v1/chat/%2e%2e/chat/completions",
    "/v1/%63hat/complet%69ons",
    "/health/../v1/chat/completions",
    "/v1\\chat\\completions",
    "http://elsewhere.example/v1/chat/completions",
)


@pytest.mark.parametrize("target", SAME_PATH)
def test_another_spelling_of_a_path_is_judged_and_sent_as_that_path(alice: Plain, target: str) -> None:
    reply = alice.ask(HELLO, target=target)
    assert reply.status == 200
    assert alice.stack.upstream.requests[-1].path == PATH
    session = on_record(alice.stack, reply.session)
    assert (session["path"], session["rule"]) == (PATH, "staff")


OTHER_PATHS = (
    "/v1/chat/completions/",
    "/V1/Chat/Completions",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%20",
    "/v1/chat/completions%3fa=b",
    "/v1/chat/completions/../../files",
    "/v1/responses/1",
    "/v2/chat/completions",
    "/metrics",
    "/",
)


@pytest.mark.parametrize("target", OTHER_PATHS)
def test_a_path_that_is_no_model_apis_is_404_and_on_record(alice: Plain, target: str) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = alice.ask(HELLO, target=target)
    assert reply.refusal == (404, "unknown_path")
    assert len(alice.stack.upstream.requests) == seen
    assert on_record(alice.stack, reply.session)["status"] == "refused"


@pytest.mark.parametrize(("target", "word"), [("/v1/realtime", "WebSockets"), ("/tokenize", "tokens")])
def test_a_known_api_that_is_not_carried_is_404_and_says_so(alice: Plain, target: str, word: str) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = alice.ask(HELLO, target=target)
    assert reply.refusal == (404, "unknown_path")
    assert word in reply.error["message"]
    assert len(alice.stack.upstream.requests) == seen


TWO_READINGS = ("/v1%2fchat/completions", "/v1/chat%2Fcompletions", f"{PATH}%00", f"{PATH}#x", "*")


@pytest.mark.parametrize("target", TWO_READINGS)
def test_a_path_with_two_readings_is_400(alice: Plain, target: str) -> None:
    seen = len(alice.stack.upstream.requests)
    with RawClient(alice.stack.url) as client:
        client.send_what_is_taken(alice.head(target=target, size=len(HELLO)) + HELLO)
        answer = client.read()
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert len(alice.stack.upstream.requests) == seen


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_another_method_is_404_and_on_record(alice: Plain, method: str) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = alice.exactly(alice.head(method=method), to=method)
    assert (reply.status, len(alice.stack.upstream.requests)) == (404, seen)
    assert data_of(on_record(alice.stack, reply.session), "request.refused")["code"] == "unknown_path"


REFUSED, NO_PATH = (403, "upgrade_refused"), (404, "unknown_path")
UPGRADES: dict[str, tuple[tuple[Header, ...], tuple[int, str]]] = {
    "websocket": ((("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")), REFUSED),
    "something else": ((("connection", "upgrade"), ("upgrade", "something")), REFUSED),
    "HTTP/2": (
        (("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "")),
        NO_PATH,
    ),
}


@pytest.mark.parametrize("name", UPGRADES)
def test_a_connection_is_never_upgraded(alice: Plain, name: str) -> None:
    headers, refusal = UPGRADES[name]
    seen = len(alice.stack.upstream.requests)
    reply = alice.exactly(alice.head(*headers, method="GET"), to="GET")
    assert reply.refusal == refusal
    assert len(alice.stack.upstream.requests) == seen


def test_nothing_is_tunnelled(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = alice.exactly(alice.head(method="CONNECT", target="127.0.0.1:80"))
    assert reply.refusal == (503, "gateway_unavailable")
    assert len(alice.stack.upstream.requests) == seen


def test_a_listed_path_passes_for_its_method_alone(alice: Plain) -> None:
    alice.stack.upstream.answer_with(whole({"ok": True}))
    reply = alice.exactly(alice.head(method="GET", target="/x/../health?verbose=1"), to="GET")
    assert (reply.status, reply.body) == (200, b'{"ok": true}')
    seen = alice.stack.upstream.requests[-1]
    assert (seen.method, seen.path) == ("GET", "/health")
    assert alice.exactly(alice.head(method="HEAD", target="/health"), to="HEAD").status == 404
    assert alice.ask(HELLO, target="/health").status == 404
