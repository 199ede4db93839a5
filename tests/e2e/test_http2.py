"""What only HTTP/2 can say: trailers, header values with line ends, lengths that are a mere claim."""

from __future__ import annotations

import pytest
from tests.e2e.http2_client import ask_http2
from tests.e2e.plain import HELLO, PATH, Header, Plain, contractor, data_of, kinds, on_record, staff
from tests.e2e.raw_client import Reply
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


def fields(caller: Plain, *more: Header, path: str = PATH) -> list[Header]:
    """A request's header fields, the pseudo-header fields first."""
    pseudo = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "gateway")]
    own = [("authorization", f"Bearer {caller.token}"), ("content-type", "application/json")]
    return [*pseudo, *own, *more]


def ask(caller: Plain, *more: Header, trailers: tuple[Header, ...] = ()) -> Reply | None:
    return ask_http2(caller.stack.url, fields(caller, *more), [HELLO[:9], HELLO[9:]], trailers=trailers)


def test_a_request_over_http2_is_answered(alice: Plain) -> None:
    reply = ask(alice, ("x-authz-model", "other"), ("cookie", "a=b"), ("cookie", "c=d"))
    assert reply is not None
    assert reply.status == 200
    seen = alice.stack.upstream.requests[-1]
    assert seen.body == HELLO
    assert (seen.header("cookie"), seen.header("x-authz-model")) == ([], [])
    assert data_of(on_record(alice.stack, reply.session), "request.released")["model"] == "llama"


def test_an_end_in_a_frame_of_its_own_changes_nothing(alice: Plain) -> None:
    reply = ask_http2(alice.stack.url, fields(alice), [HELLO, b""])
    assert reply is not None
    assert reply.status == 200
    assert alice.stack.upstream.requests[-1].body == HELLO


@pytest.mark.parametrize("who", ["allowed", "held"])
def test_a_request_with_trailers_is_refused_and_reaches_no_model(stack: Stack, who: str) -> None:
    caller = staff(stack) if who == "allowed" else contractor(stack, "trailing")
    seen = len(stack.upstream.requests)
    reply = ask(caller, trailers=(("x-secret", "4111 1111 1111 1111"),))
    assert reply is not None
    assert reply.refusal == (400, "trailers")
    assert len(stack.upstream.requests) == seen
    session = on_record(stack, reply.session)
    assert kinds(session) == ["request.received", "request.refused", "exchange.ended"]


def test_trailers_without_a_body_are_refused_too(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = ask_http2(alice.stack.url, fields(alice), [], trailers=[("x-end", "1")])
    assert reply is not None
    assert reply.refusal == (400, "trailers")
    assert len(alice.stack.upstream.requests) == seen


MALFORMED: dict[str, Header] = {
    "a line end": ("user-agent", "a\r\nx-authz-model: llama"),
    "a NUL": ("user-agent", "a\0b"),
    "a space in a name": ("x authz", "1"),
    "a name in capitals": ("X-Authz-Model", "llama"),
    "an underscore": ("x_authz_model", "llama"),
    "HTTP/1's framing": ("transfer-encoding", "chunked"),
    "HTTP/1's connection": ("connection", "close"),
    "a length that is too short": ("content-length", "5"),
    "a length that is too long": ("content-length", str(len(HELLO) + 5)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_http2_does_not_allow_ends_the_stream(alice: Plain, name: str) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = ask(alice, MALFORMED[name])
    assert reply is None or reply.status == 400
    assert len(alice.stack.upstream.requests) == seen


@pytest.mark.parametrize("more", [(), ((":protocol", "websocket"), (":scheme", "http"), (":path", PATH))])
def test_nothing_is_tunnelled(alice: Plain, more: tuple[Header, ...]) -> None:
    seen = len(alice.stack.upstream.requests)
    own = [(":method", "CONNECT"), (":authority", "127.0.0.1:80"), *more]
    reply = ask_http2(alice.stack.url, [*own, ("authorization", f"Bearer {alice.token}")], [])
    assert reply is None or reply.status == 503
    assert len(alice.stack.upstream.requests) == seen
