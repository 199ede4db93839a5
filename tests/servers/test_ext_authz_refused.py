"""Requests that Check refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import structlog.testing
from tests.servers.ext_authz_fakes import NOW, Gate, Play, denial, request

from authz_service.errors import Unauthenticated, Unavailable
from authz_service.keys.seal import LARGEST_SEAL
from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.view.caller import Caller


@dataclass
class Failing:
    """A verifier that fails in one way."""

    error: BaseException

    async def verify_gateway(self, token: str) -> Caller:
        raise self.error


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
        assert "test_ext_authz_refused.py:" in lines[0]["at"]
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
