"""Check, called over a real gRPC server on a Unix socket: identity becomes a seal, all else a denial."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog.testing

from authz_service.errors import Unauthenticated, Unavailable
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.identity.trust import trusted_embedded
from authz_service.identity.verifier import Verifier
from authz_service.keys.seal import LARGEST_SEAL, Sealer
from authz_service.runtime.marks import Marks
from authz_service.servers.ext_authz import ExtAuthz, GatewayVerifier
from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.servers.wire import methods
from authz_service.servers.wire.base_pb2 import HeaderMap, HeaderValue
from authz_service.view.caller import Caller

NOW = 1_800_000_000.0
CHAT = "/v1/chat/completions"
SEALER = Sealer(bytes(range(32)))


class Counted:
    """Remembers what was refused."""

    def __init__(self) -> None:
        self.refusals: list[tuple[str, str]] = []

    def count(self, source: str, code: str) -> None:
        self.refusals.append((source, code))


@dataclass
class Failing:
    """A verifier that fails in one way."""

    error: BaseException

    async def verify_gateway(self, token: str) -> Caller:
        raise self.error


@dataclass
class Gate:
    """A running Check, and what it refused."""

    check: Callable[[wire.CheckRequest], Awaitable[wire.CheckResponse]]
    refusals: list[tuple[str, str]] = field(default_factory=list)


Scene = Callable[[Gate], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def issuer(tmp_path: Path) -> EmbeddedIssuer:
    return EmbeddedIssuer.load(tmp_path / "issuer.pem")


@pytest.fixture
def token(issuer: EmbeddedIssuer) -> Callable[..., str]:
    def make(
        subject: str = "alice", ttl: float = 3600, audience: str = GATEWAY_AUDIENCE, now: float = NOW
    ) -> str:
        return issuer.sign(subject, ("staff",), audience=audience, ttl=ttl, now=now)

    return make


@pytest.fixture
def play(issuer: EmbeddedIssuer, tmp_path: Path) -> Play:
    @asynccontextmanager
    async def serve(verifier: GatewayVerifier) -> AsyncIterator[Gate]:
        counted = Counted()
        server = grpc.aio.server()
        service = ExtAuthz(verifier=verifier, sealer=SEALER, refusals=counted, clock=lambda: NOW)
        server.add_generic_rpc_handlers((service.handler(),))
        address = f"unix:{tmp_path / 's.sock'}"
        server.add_insecure_port(address)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                call: Any = channel.unary_unary(
                    methods.CHECK,
                    request_serializer=wire.CheckRequest.SerializeToString,
                    response_deserializer=wire.CheckResponse.FromString,
                )
                yield Gate(call, counted.refusals)
        finally:
            await server.stop(None)

    async def run(scene: Scene, verifier: GatewayVerifier) -> None:
        async with serve(verifier) as gate:
            await scene(gate)

    real = Verifier([trusted_embedded(issuer)], review_audience="authz-review", clock=lambda: NOW)
    return lambda scene, verifier=real: asyncio.run(run(scene, verifier))


def request(
    *headers: tuple[str, str | bytes], method: str = "POST", path: str = CHAT, source: str = "192.0.2.7"
) -> wire.CheckRequest:
    raw = [HeaderValue(key=k, raw_value=v.encode() if isinstance(v, str) else v) for k, v in headers]
    http = wire.AttributeContext.HttpRequest(
        method=method, path=path, host="gateway.example", header_map=HeaderMap(headers=raw)
    )
    context = wire.AttributeContext(request=wire.AttributeContext.Request(http=http))
    context.source.address.socket_address.address = source
    context.source.address.socket_address.port_value = 50_000
    return wire.CheckRequest(attributes=context)


def denial(response: wire.CheckResponse) -> tuple[int, str, dict[str, str]]:
    """Status, code and headers of a denial, which is one in every respect."""
    assert response.status.code != 0
    assert response.WhichOneof("http_response") == "denied_response"
    assert not response.dynamic_metadata.fields
    denied = response.denied_response
    error = json.loads(denied.body)["error"]
    assert error["message"]
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert headers["content-type"] == "application/json"
    return denied.status.code, error["code"], headers


def test_a_verified_request_goes_on_with_a_seal_of_what_was_found(
    play: Play, token: Callable[..., str]
) -> None:
    async def scene(gate: Gate) -> None:
        response = await gate.check(request(("authorization", f"Bearer {token()}"), path=CHAT + "?a=b"))
        assert response.status.code == 0
        assert response.WhichOneof("http_response") == "ok_response"
        assert response.ok_response == wire.OkHttpResponse()  # no header is changed
        sealed = SEALER.open(response.dynamic_metadata.fields["seal"].string_value, NOW)
        assert (sealed.method, sealed.path, sealed.host) == ("POST", CHAT + "?a=b", "gateway.example")
        assert (sealed.caller.subject, sealed.caller.groups) == ("alice", ("staff",))
        assert sealed.exchange.startswith("ses_")
        assert gate.refusals == []

    play(scene)


def test_each_request_is_an_exchange_of_its_own(play: Play, token: Callable[..., str]) -> None:
    async def scene(gate: Gate) -> None:
        asked = request(("x-api-key", token()))
        seals = [(await gate.check(asked)).dynamic_metadata.fields["seal"].string_value for _ in range(10)]
        assert len({SEALER.open(seal, NOW).exchange for seal in seals}) == 10

    play(scene)


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER   {} "])
def test_the_scheme_is_read_as_rfc_9110_writes_it(play: Play, token: Callable[..., str], header: str) -> None:
    async def scene(gate: Gate) -> None:
        assert (await gate.check(request(("authorization", header.format(token()))))).status.code == 0

    play(scene)


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "X-Api-Key"])
def test_a_token_is_found_where_sdks_put_their_key(play: Play, token: Callable[..., str], name: str) -> None:
    async def scene(gate: Gate) -> None:
        assert (await gate.check(request((name, token())))).status.code == 0

    play(scene)


def test_the_same_token_in_two_places_is_one_credential(play: Play, token: Callable[..., str]) -> None:
    async def scene(gate: Gate) -> None:
        same = token()
        assert (
            await gate.check(request(("authorization", f"Bearer {same}"), ("x-api-key", same)))
        ).status.code == 0

    play(scene)


def test_headers_that_are_not_raw_are_read_too(play: Play, token: Callable[..., str]) -> None:
    async def scene(gate: Gate) -> None:
        asked = request()
        asked.attributes.request.http.headers["authorization"] = f"Bearer {token()}"
        assert (await gate.check(asked)).status.code == 0

    play(scene)


def _refused_headers(token: Callable[..., str]) -> dict[str, tuple[list[tuple[str, str | bytes]], str]]:
    alice, bob = f"Bearer {token('alice')}", f"Bearer {token('bob')}"
    return {
        "nothing": ([], "missing_token"),
        "empty": ([("authorization", "")], "missing_token"),
        "no token": ([("authorization", "Bearer ")], "missing_token"),
        "empty key": ([("x-api-key", "  ")], "missing_token"),
        "another scheme": ([("authorization", "Basic YWxpY2U6c2VjcmV0")], "unsupported_scheme"),
        "no scheme": ([("authorization", token())], "unsupported_scheme"),
        "a tab": ([("authorization", f"Bearer\t{token()}")], "unsupported_scheme"),
        "two people": ([("authorization", alice), ("x-api-key", token("bob"))], "ambiguous_credentials"),
        "two keys": ([("x-api-key", token("bob")), ("api-key", token())], "ambiguous_credentials"),
        "twice": ([("authorization", alice), ("authorization", bob)], "ambiguous_credentials"),
        "and another scheme": (
            [("authorization", "Basic YTpi"), ("x-api-key", token())],
            "unsupported_scheme",
        ),
        "joined": ([("authorization", f"{alice},{bob}")], "malformed_token"),
        "a real key": ([("authorization", "Bearer sk-proj-abcdefghijklmnop")], "malformed_token"),
        "octets": ([("x-api-key", b"\xff\xfe.\x00.a")], "malformed_token"),
        "for reviews": ([("x-api-key", token(audience="authz-review"))], "wrong_audience"),
        "expired": ([("x-api-key", token(now=NOW - 7200))], "token_expired"),
        "40 KB": ([("x-api-key", "a" * 40_000)], "token_too_large"),
    }


def test_a_request_without_one_good_token_is_refused_and_counted_by_its_source(
    play: Play, token: Callable[..., str]
) -> None:
    cases = _refused_headers(token)

    async def scene(gate: Gate) -> None:
        for name, (headers, expected) in cases.items():
            response = await gate.check(request(*headers))
            status, code, said = denial(response)
            assert (name, status, code) == (name, 401, expected)
            assert said["www-authenticate"].startswith("Bearer")
            assert said["x-should-retry"] == "false"
            for _, value in headers:
                assert len(value) < 12 or str(value)[7:] not in response.denied_response.body
        assert gate.refusals == [("192.0.2.7", expected) for _, expected in cases.values()]

    play(scene)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", [("connection", "Upgrade"), ("upgrade", "websocket")]),
        ("GET", [("Upgrade", "WebSocket")]),
        ("POST", [("upgrade", "h2c")]),
        ("CONNECT", []),
    ],
)
def test_an_upgrade_is_refused_even_of_a_good_caller(
    play: Play, token: Callable[..., str], method: str, headers: list[tuple[str, str]]
) -> None:
    async def scene(gate: Gate) -> None:
        asked = request(("authorization", f"Bearer {token()}"), *headers, method=method)
        status, code, said = denial(await gate.check(asked))
        assert (status, code, said["x-should-retry"]) == (403, "upgrade_refused", "false")

    play(scene)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("database password is hunter2"), 503, "internal_error"),
        (ValueError("bad"), 503, "internal_error"),
        (RecursionError(), 503, "internal_error"),
        (Unavailable("the keys cannot be had"), 503, "unavailable"),
        (Unauthenticated("the token has expired", code="token_expired"), 401, "token_expired"),
    ],
)
def test_whatever_fails_within_the_request_is_denied(
    play: Play, error: BaseException, status: int, code: str
) -> None:
    async def scene(gate: Gate) -> None:
        response = await gate.check(request(("x-api-key", "a.b.c")))
        found, said, headers = denial(response)
        assert (found, said) == (status, code)
        assert headers["x-should-retry"] == ("true" if status == 503 else "false")
        assert "hunter2" not in response.denied_response.body

    play(scene, verifier=Failing(error))


def test_a_failure_is_logged_by_kind_and_place_and_never_in_its_own_words(play: Play) -> None:
    async def scene(gate: Gate) -> None:
        with structlog.testing.capture_logs() as lines:
            await gate.check(request(("x-api-key", "a.b.c")))
        assert [line["error"] for line in lines] == ["RuntimeError"]
        assert "test_ext_authz.py:" in lines[0]["at"]
        assert "hunter2" not in str(lines)
        assert "a.b.c" not in str(lines)

    play(scene, verifier=Failing(RuntimeError("could not read a.b.c with hunter2")))


def test_a_request_that_is_too_large_to_seal_is_denied(play: Play, token: Callable[..., str]) -> None:
    async def scene(gate: Gate) -> None:
        asked = request(("x-api-key", token()), path="/" + "a" * LARGEST_SEAL)
        assert denial(await gate.check(asked))[:2] == (431, "too_large")

    play(scene)


def test_an_empty_or_unreadable_message_is_no_permission(play: Play) -> None:
    async def scene(gate: Gate) -> None:
        assert denial(await gate.check(wire.CheckRequest()))[0] == 401
        assert gate.refusals == [("local", "missing_token")]

    play(scene)


def test_the_query_does_not_hide_which_api_was_called(play: Play) -> None:
    async def scene(gate: Gate) -> None:
        for path in (CHAT, CHAT + "?x=/v1/other", "", "*", "/nobody/knows"):
            assert denial(await gate.check(request(path=path)))[0] == 401

    play(scene)


class KnownCertificate:
    """Takes one certificate."""

    def verify_certificate(self, encoded: str) -> Caller:
        assert encoded == "pem"
        return Caller("urn:authz:certificates", "batch", NOW + 60)


@pytest.mark.parametrize(
    ("certificates", "yields", "shown", "with_token", "who"),
    [
        (KnownCertificate(), False, "pem", False, "batch"),
        (KnownCertificate(), False, "", True, "alice"),
        (KnownCertificate(), False, "pem", True, "ambiguous_credentials"),
        (KnownCertificate(), True, "pem", True, "alice"),
        (KnownCertificate(), True, "pem", False, "batch"),
        (KnownCertificate(), False, "", False, "missing_token"),
        (None, False, "pem", True, "alice"),
        (None, False, "pem", False, "missing_token"),
    ],
)
def test_who_calls_is_said_by_the_certificate_or_the_token(
    issuer: EmbeddedIssuer,
    token: Callable[..., str],
    certificates: KnownCertificate | None,
    yields: bool,
    shown: str,
    with_token: bool,
    who: str,
) -> None:
    service = ExtAuthz(
        verifier=Verifier([trusted_embedded(issuer)], review_audience="authz-review", clock=lambda: NOW),
        sealer=SEALER,
        refusals=Counted(),
        clock=lambda: NOW,
        certificates=certificates,
        yields_to_token=yields,
    )
    asked = request(*([("authorization", f"Bearer {token()}")] if with_token else []))
    asked.attributes.source.certificate = shown
    response = asyncio.run(service.check(asked))
    if response.WhichOneof("http_response") == "denied_response":
        assert denial(response)[1] == who
    else:
        seal = response.dynamic_metadata.fields["seal"].string_value
        assert SEALER.open(seal, NOW).caller.subject == who


@dataclass
class Waiting:
    """A verifier that waits, as for a provider's key set."""

    waits: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def verify_gateway(self, token: str) -> Caller:
        self.waits.set()
        await self.answers.wait()
        raise Unauthenticated("nobody's")


def test_a_check_that_only_waits_while_its_worker_dies_of_another_is_answered_by_the_next(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        request, counted = wire.CheckRequest(), Counted()
        request.attributes.request.http.id = "b1946ac9-2492-4d47-8d3e-3b1f3c0e8a55"
        request.attributes.request.http.headers["authorization"] = "Bearer a"
        waiting, asked = Waiting(), Waiting()
        asked.answers.set()
        with (
            closing(Marks(tmp_path, 0, 2, name="checks")) as dead,
            closing(Marks(tmp_path, 1, 2, name="checks")) as other,
        ):
            first = ExtAuthz(verifier=waiting, sealer=SEALER, refusals=counted, marks=dead)
            second = ExtAuthz(verifier=asked, sealer=SEALER, refusals=counted, marks=other)
            checking = asyncio.create_task(first.check(request))
            await waiting.waits.wait()
            await second.check(request)
            assert [code for _, code in counted.refusals] == ["invalid_token"]
            checking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await checking

    asyncio.run(scenario())
