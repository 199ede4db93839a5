"""Requests framed so that two servers could see two: a canary arrives masked, or no model hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.e2e.bypass import CANARY, MARK, SAMPLES, TEXT, Attacker, Sample, at_once, attacker
from tests.e2e.http2_client import ask_http2
from tests.e2e.plain import Header
from tests.e2e.raw_client import RawClient, Reply, chunked

Write = Callable[[Attacker, Sample], bytes]
CHUNKED: Header = ("transfer-encoding", "chunked")


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    yield from attacker(tmp_path_factory.mktemp("framing"))


def head(who: Attacker, sample: Sample, *headers: Header, method: str = "POST") -> bytes:
    return who.caller.head(*headers, method=method, target=sample.path)


def in_chunks(*headers: Header, ending: bytes = b"", size: int = 1 << 20) -> Write:
    """The body in chunks, each with an extension of `ending`."""

    def write(who: Attacker, sample: Sample) -> bytes:
        body = sample.sent()
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), ending, piece) for piece in pieces)
        return head(who, sample, CHUNKED, *headers) + chunks + b"0\r\n\r\n"

    return write


def with_trailers(who: Attacker, sample: Sample) -> bytes:
    trailers = (("x-note", TEXT), ("content-type", "text/plain"), ("content-encoding", "gzip"))
    return head(who, sample, CHUNKED, ("trailer", "x-note")) + chunked([sample.sent()], trailers=trailers)


def sized(*headers: Header, version: bytes = b"HTTP/1.1") -> Write:
    """The body with its length."""

    def write(who: Attacker, sample: Sample) -> bytes:
        start = head(who, sample, *headers, ("content-length", str(len(sample.sent()))))
        return start.replace(b"HTTP/1.1", version, 1) + sample.sent()

    return write


MASKED: dict[str, Write] = {
    "chunks of a byte": in_chunks(size=1),
    "chunks with extensions": in_chunks(ending=b';a=b;c="d e"', size=7),
    "chunk sizes with zeros before them": lambda who, sample: in_chunks(size=7)(who, sample).replace(
        b"\r\n7\r\n", b"\r\n0007\r\n"
    ),
    "trailers": with_trailers,
    "a method to override": sized(("x-http-method-override", "GET"), ("x-method-override", "GET")),
    "an upgrade to HTTP/2": sized(("connection", "upgrade, http2-settings"), ("upgrade", "h2c")),
    "a connection header that names another": sized(("connection", "x-authz-model, authority")),
    "lines that end in a line feed": lambda who, sample: sized()(who, sample).replace(b"\r\n", b"\n"),
    "a folded header": lambda who, sample: sized()(who, sample).replace(
        b"\r\nhost", b"\r\nx-a: b\r\n c\r\nhost", 1
    ),
    "two hosts": sized(("host", "other")),
    "something else to expect": sized(("expect", "nothing")),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_body_is_the_same_however_it_is_framed(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.caller.exactly(MASKED[name](mallory, sample))
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)


def test_a_request_that_comes_byte_by_byte_is_the_same(mallory: Attacker) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        sent = sized()(mallory, sample)
        with RawClient(mallory.caller.stack.url) as client:
            for i in range(len(sent)):
                client.send(sent[i : i + 1])
            mallory.judge(f"{sample}", sample, seen, client.reply().status, masked=True)


def test_a_client_that_waits_to_be_told_to_continue_is_judged(mallory: Attacker) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        size = ("content-length", str(len(sample.sent())))
        with RawClient(mallory.caller.stack.url) as client:
            client.send(head(mallory, sample, ("expect", "100-continue"), size))
            assert client.reply_head()[0] == 100
            assert mallory.seen() == seen, f"{sample}: the model heard of it before its body"
            client.send(sample.sent())
            mallory.judge(f"{sample}", sample, seen, client.reply().status, masked=True)


def test_requests_in_one_packet_are_judged_one_by_one(mallory: Attacker) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        clean = sample.sent("Hello")
        first = head(mallory, sample, ("content-length", str(len(clean)))) + clean
        with RawClient(mallory.caller.stack.url) as client:
            client.send(first + in_chunks(size=5)(mallory, sample) + first)
            assert [client.reply().status for _ in range(3)] == [200] * 3, sample
        came = [request.body for request in mallory.upstream.requests[seen:]]
        assert [MARK.encode() in body for body in came] == [False, True, False], sample
        assert not any(CANARY.encode() in body for body in came), sample


def raw(*headers: Header, body: Callable[[bytes], bytes] = lambda body: body) -> Write:
    """A head that promises one thing, and a body that is another."""
    return lambda who, sample: head(who, sample, *headers) + body(sample.sent())


def whole_chunk(body: bytes) -> bytes:
    return chunked([body])


CUT_OFF: dict[str, Write] = {
    "a length and chunks": raw(("content-length", "5"), CHUNKED, body=whole_chunk),
    "chunks and a length": raw(CHUNKED, ("content-length", "5"), body=whole_chunk),
    "a length and chunks of something": raw(
        ("content-length", "5"), ("transfer-encoding", "xchunked"), body=whole_chunk
    ),
    "two lengths": raw(("content-length", "2"), ("content-length", "9999")),
    "two lengths in a field": raw(("content-length", "2, 9999")),
    "a length with a sign": raw(("content-length", "+60")),
    "a length in hexadecimal": raw(("content-length", "0x40")),
    "a length below zero": raw(("content-length", "-1")),
    "a length beyond sixty-four bits": raw(("content-length", "18446744073709551617")),
    "chunks twice": raw(("transfer-encoding", "chunked, chunked"), body=whole_chunk),
    "chunks in two fields": raw(CHUNKED, CHUNKED, body=whole_chunk),
    "chunks of nothing": raw(("transfer-encoding", "identity, chunked"), body=whole_chunk),
    "chunks that are not the last": raw(("transfer-encoding", "chunked, identity"), body=whole_chunk),
    "chunks after a control character": raw(("transfer-encoding", "\x0bchunked"), body=whole_chunk),
    "chunks within gzip": raw(("transfer-encoding", "gzip, chunked"), body=whole_chunk),
    "a space before the colon": raw(("transfer-encoding ", "chunked"), body=whole_chunk),
    "a chunk size that is none": raw(CHUNKED, body=lambda body: b"zz\r\n" + body),
    "a chunk size below zero": raw(CHUNKED, body=lambda body: b"-1\r\n" + body),
    "a chunk size that overflows": raw(CHUNKED, body=lambda body: b"1" + b"0" * 16 + b"\r\n" + body),
    "a chunk longer than its size": raw(CHUNKED, body=lambda body: b"2\r\n" + body + b"\r\n0\r\n\r\n"),
    "chunks that end in a line feed": raw(CHUNKED, body=lambda b: chunked([b]).replace(b"\r\n", b"\n")),
    "HTTP/1.0": sized(version=b"HTTP/1.0"),
    "HTTP/0.9": lambda who, sample: b"POST %b\r\n" % sample.path.encode(),
    "HTTP/3.0": sized(version=b"HTTP/3.0"),
    "no host": lambda who, sample: sized()(who, sample).replace(b"host: gateway\r\n", b"", 1),
    "a GET with a body": lambda who, sample: sized()(who, sample).replace(b"POST", b"GET", 1),
    "another method in lower case": lambda who, sample: sized()(who, sample).replace(b"POST", b"post", 1),
    "another method": lambda who, sample: sized()(who, sample).replace(b"POST", b"PUT", 1),
    "a websocket": lambda who, sample: sized(
        ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")
    )(who, sample),
    "another protocol": sized(("connection", "upgrade"), ("upgrade", "something")),
    "a connection header that takes the type away": sized(("connection", "content-type")),
    "the same length twice": lambda who, sample: sized(("content-length", str(len(sample.sent()))))(
        who, sample
    ),
}


@pytest.mark.parametrize("name", CUT_OFF)
def test_a_request_with_two_ends_reaches_no_model_with_a_canary(mallory: Attacker, name: str) -> None:
    """The client stays: one that had left would have been taken for the reason why no model heard of it."""

    def attack(sample: Sample) -> bytes:
        with RawClient(mallory.caller.stack.url) as client:
            client.send_what_is_taken(CUT_OFF[name](mallory, sample))
            return client.read_until(b"\r\n")

    seen = mallory.seen()
    for sample, status in at_once(attack):
        assert b" 200 " not in status, f"{sample}: {name}: {status!r}"
    came = mallory.upstream.requests[seen:]
    assert not came, f"{name}: {[(request.path, request.body) for request in came]}"


def test_what_follows_a_body_of_its_length_is_a_request_without_a_token(mallory: Attacker) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        inner = (
            b"POST %b HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n" % sample.path.encode()
        )
        inner += b"content-length: %d\r\n\r\n%b" % (len(sample.sent()), sample.sent())
        with RawClient(mallory.caller.stack.url) as client:
            client.send(head(mallory, sample, ("content-length", "2")) + b"{}" + inner)
            first = client.reply()
            second = client.read_until(b"\r\n")  # nothing, where the connection went with the first
        assert second in (b"", b"HTTP/1.1 401 Unauthorized\r\n"), f"{sample}: {second!r}"
        came = [request.body for request in mallory.upstream.requests[seen:]]
        assert came == ([b"{}"] if first.status == 200 else []), f"{sample}: {first}"


def fields(who: Attacker, sample: Sample, *more: Header) -> list[Header]:
    """A request's header fields over HTTP/2."""
    pseudo = [(":method", "POST"), (":path", sample.path), (":scheme", "http"), (":authority", "gateway")]
    own = [("authorization", f"Bearer {who.caller.token}"), ("content-type", "application/json")]
    return [*pseudo, *own, *more]


HTTP2: dict[str, tuple[Header, ...]] = {
    "nothing else": (),
    "a host beside the authority": (("host", "elsewhere"),),
    "a cookie in crumbs": (("cookie", "a=b"), ("cookie", f"c={CANARY}")),
}


@pytest.mark.parametrize("name", HTTP2)
def test_over_http2_the_body_is_judged_as_well(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        body = sample.sent()
        pieces = [body[i : i + 3] for i in range(0, len(body), 3)]
        reply = ask_http2(mallory.caller.stack.url, fields(mallory, sample, *HTTP2[name]), pieces)
        assert reply is not None, sample
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)


HTTP2_REFUSED: dict[str, tuple[Header, ...]] = {
    "a coding": (("content-encoding", "gzip"),),
    "another path": ((":path", "/health"),),
    "another method": ((":method", "GET"),),
    "a length that is too short": (("content-length", "2"),),
    "chunks": (CHUNKED,),
    "an upgrade": (("connection", "upgrade"), ("upgrade", "websocket")),
    "a protocol": ((":protocol", "websocket"),),
    "a header with a line end": (("x-note", "a\r\nx-authz-model: llama"),),
    "a path with a fragment": (),
}


@pytest.mark.parametrize("name", HTTP2_REFUSED)
def test_over_http2_what_has_two_readings_reaches_no_model(mallory: Attacker, name: str) -> None:
    def attack(sample: Sample) -> Reply | None:
        asked = fields(mallory, sample, *HTTP2_REFUSED[name])
        if name == "a path with a fragment":
            asked[1] = (":path", f"{sample.path}#x")
        return ask_http2(mallory.caller.stack.url, asked, [sample.sent()])

    seen = mallory.seen()
    for sample, reply in at_once(attack):
        status = None if reply is None else reply.status
        mallory.judge(f"{sample}: {name}", sample, seen, status, masked=False)
