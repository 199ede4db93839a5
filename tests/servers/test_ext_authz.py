"""Check, called over a real gRPC server on a Unix socket: identity becomes a seal, all else a denial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from tests.servers.ext_authz_fakes import CHAT, NOW, SEALER, Counted, Gate, Play, denial, request

from authz_service.errors import Unauthenticated
from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.identity.trust import trusted_embedded
from authz_service.identity.verifier import Verifier
from authz_service.runtime.marks import Marks
from authz_service.servers.ext_authz import ExtAuthz
from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.view.caller import Caller


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


def test_while_the_process_leaves_nobody_is_checked_and_envoy_is_told_to_ask_again(
    play: Play, token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.servers.ext_authz.LATER_SECONDS", 0.01)

    async def scene(gate: Gate) -> None:
        for header in (f"Bearer {token()}", "Bearer nonsense"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await gate.check(request(("authorization", header)))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert gate.refusals == []

    play(scene, leaves=lambda: True)


def test_before_it_opens_nobody_is_checked_and_who_came_is_answered_then(
    play: Play, token: Callable[..., str]
) -> None:
    opens = asyncio.Event()

    async def scene(gate: Gate) -> None:
        waiting = asyncio.ensure_future(gate.check(request(("authorization", f"Bearer {token()}"))))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        opens.set()
        assert (await waiting).status.code == 0

    play(scene, opens=opens)


class LeavesMeanwhile:
    """Knows everybody, or nobody, once the process has begun to leave."""

    def __init__(self, *, knows: bool) -> None:
        self.knows, self.leaves = knows, False

    async def verify_gateway(self, token: str) -> Caller:
        """It takes its time, as with a provider that is slow."""
        self.leaves = True
        if not self.knows:
            raise Unauthenticated("nobody of ours", code="invalid_token")
        return Caller("https://id", token, NOW + 60, ())


def test_who_was_found_while_the_process_began_to_leave_is_asked_about_again_and_a_refusal_stands(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Envoy would bring it a body which it can send once, and which it does not take."""
    monkeypatch.setattr("authz_service.servers.ext_authz.LATER_SECONDS", 0.01)
    known, unknown = LeavesMeanwhile(knows=True), LeavesMeanwhile(knows=False)

    async def asked_again(gate: Gate) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await gate.check(request(("authorization", "Bearer alice")))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    async def refused(gate: Gate) -> None:
        response = await gate.check(request(("authorization", "Bearer nobody")))
        assert denial(response)[:1] == (401,)

    play(asked_again, known, leaves=lambda: known.leaves)
    play(refused, unknown, leaves=lambda: unknown.leaves)


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
