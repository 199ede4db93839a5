"""Compiled conditions, and facts to try them on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.cel.compiler import CelCompiler
from authz_service.policy.conditions import Answer, BadCondition, Phase, TextFault
from authz_service.policy.decision import RequestFacts
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView, Role, TextField

ENTITIES = frozenset({"EMAIL_ADDRESS", "PRIVATE_KEY", "JWT", "EMPLOYEE_ID"})
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z, a Thursday


@pytest.fixture(scope="session")
def compiler() -> CelCompiler:
    return CelCompiler(ENTITIES, frozenset({"groups", "realm_access"}))


@pytest.fixture
def facts() -> RequestFacts:
    caller = Caller(
        issuer="https://issuer.example",
        subject="alice",
        expires_at=2e9,
        groups=("staff", "ops"),
        person="alice@corp.example",
        claims={"dept": "sales", "level": 3, "admin": True, "realm_access": {"roles": ["staff"]}},
    )
    request = RequestView(
        api="openai",
        operation="chat",
        model="llama",
        stream=True,
        texts=(
            TextField(("messages", 0, "content"), "be kind", Role.SYSTEM),
            TextField(("messages", 1, "content"), "hello there", Role.USER, new_turn=True),
        ),
        tools=("search", "shell"),
        parameters={"temperature": 0.5, "stop": ["x"]},
        token_estimate=40,
        choices=2,
    )
    return RequestFacts(caller, request, {"EMAIL_ADDRESS": 2, "JWT": 0}, NOON)


@pytest.fixture
def ask(compiler: CelCompiler, facts: RequestFacts) -> Callable[[str], Answer]:
    """The answer of one condition on `facts`."""

    def evaluate(text: str) -> Answer:
        condition = compiler.check(Phase.REQUESTS, text)
        return compiler.requests([condition]).evaluate(facts)[0]

    return evaluate


@pytest.fixture
def faults(compiler: CelCompiler) -> Callable[..., list[TextFault]]:
    """What is wrong with a condition."""

    def check(text: str, phase: Phase = Phase.REQUESTS) -> list[TextFault]:
        with pytest.raises(BadCondition) as caught:
            compiler.check(phase, text)
        return list(caught.value.faults)

    return check


@pytest.fixture
def reads(compiler: CelCompiler) -> Callable[..., set[str]]:
    """What a condition reads."""

    def of(text: str, phase: Phase = Phase.REQUESTS) -> set[str]:
        return set(compiler.check(phase, text).reads)

    return of
