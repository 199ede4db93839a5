"""Conditions see what they name, and everything that is not plainly true or false is a failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from authz_service.cel.compiler import CelCompiler
from authz_service.cel.evaluation import CelCondition
from authz_service.policy.conditions import Answer, Failed, PathFacts, Phase
from authz_service.policy.decision import AnswerFacts, RequestFacts
from authz_service.view.request import Role, TextField

Ask = Callable[[str], Answer]


@pytest.mark.parametrize(
    "text",
    [
        "'staff' in caller.groups && !('contractors' in caller.groups)",
        "caller.subject == 'alice' && caller.issuer == 'https://issuer.example'",
        "caller.person == 'alice@corp.example' && caller.groups_complete",
        "caller.claims.dept == 'sales' && caller.claims.level == 3 && caller.claims.admin == true",
        "'staff' in caller.claims.realm_access.roles",
        "request.api == 'openai' && request.operation == 'chat' && request.model == 'llama'",
        "request.stream && request.choices == 2 && request.token_estimate < 41",
        "request.tools.exists(t, t == 'shell') && size(request.tools) == 2",
        "request.parameters.temperature < 1.0 && request.parameters.stop[0] == 'x'",
        "request.system_text == 'be kind' && request.user_text.contains('hello')",
        "request.new_turn.matches('^hel+o') && request.tool_text == ''",
        "findings.EMAIL_ADDRESS.count == 2 && findings.PRIVATE_KEY.count == 0",
        "has(findings.EMAIL_ADDRESS) && !has(findings.JWT) && !has(findings.PRIVATE_KEY)",
        "now.getHours('Europe/Berlin') == 13 && now.getDayOfWeek() == 4",
        "!has(caller.claims.missing)",
    ],
)
def test_conditions_see_caller_call_text_findings_and_time(ask: Ask, text: str) -> None:
    assert ask(text) is True


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("caller.claims.missing == 'x'", "not there"),
        ("!(caller.claims.missing == 'x')", "not there"),
        ("caller.claims.dept > 3", "not of the kind"),
        ("caller.claims.dept && true", "not of the kind"),
        ("caller.claims.level.deeper == 1", "not of the kind"),
        ("int(caller.subject) > 3", "not of the kind"),
        ("size(caller.groups) == 2 && caller.groups[7] == 'x'", "end of a list"),
        ("request.token_estimate > 30 && 9223372036854775807 + request.choices > 0", "out of range"),
    ],
)
def test_an_evaluation_error_is_a_failure_though_its_value_is_true_in_python(
    ask: Ask, text: str, error: str
) -> None:
    answer = ask(text)
    assert isinstance(answer, Failed)
    assert error in answer.error


def test_a_failure_repeats_no_value_of_the_request(compiler: CelCompiler, facts: RequestFacts) -> None:
    condition = compiler.check(Phase.REQUESTS, "caller.claims[request.user_text] == 'x'")
    (answer,) = compiler.requests([condition]).evaluate(facts)
    assert isinstance(answer, Failed)
    assert "hello" not in answer.error


def test_a_caller_who_makes_a_rule_take_too_many_steps_gets_a_failure(
    compiler: CelCompiler, facts: RequestFacts
) -> None:
    condition = compiler.check(Phase.REQUESTS, "request.tools.all(a, request.tools.exists(b, b != a + 'x'))")
    many = replace(facts, request=replace(facts.request, tools=("x" * 3,) * 20_000))
    (answer,) = compiler.requests([condition]).evaluate(many)
    assert answer == Failed("the condition took too many steps")


@pytest.mark.parametrize("claims", [{"dept": "\ud800"}, {"dept": 10**400}, {"dept": object()}])
def test_facts_that_the_engine_cannot_hold_fail_every_condition(
    compiler: CelCompiler, facts: RequestFacts, claims: dict[str, Any]
) -> None:
    conditions = [
        compiler.check(Phase.REQUESTS, text)
        for text in ("has(caller.claims.dept)", "request.model == 'llama'")
    ]
    odd = replace(facts, caller=replace(facts.caller, claims=claims))
    answers = compiler.requests(conditions).evaluate(odd)
    assert len(answers) == 2
    assert all(isinstance(answer, Failed) for answer in answers)


def test_a_text_with_a_lone_surrogate_fails_the_rules_that_read_it(
    compiler: CelCompiler, facts: RequestFacts
) -> None:
    odd = facts.request.texts[1]._replace(text="\ud800")
    condition = compiler.check(Phase.REQUESTS, "request.user_text.contains('x')")
    (answer,) = compiler.requests([condition]).evaluate(
        replace(facts, request=replace(facts.request, texts=(odd,)))
    )
    assert isinstance(answer, Failed)


def test_only_what_is_read_is_built(compiler: CelCompiler, facts: RequestFacts) -> None:
    class Untouchable(TextField):
        """A text whose reading a test would notice."""

        @property
        def role(self) -> Any:
            raise AssertionError("a text was read that no rule names")

    condition = compiler.check(Phase.REQUESTS, "request.model == 'llama'")
    texts = (Untouchable((), "", Role.USER),)
    odd = replace(facts, request=replace(facts.request, texts=texts))
    assert list(compiler.requests([condition]).evaluate(odd)) == [True]


def test_answers_come_in_the_order_of_the_conditions(compiler: CelCompiler, facts: RequestFacts) -> None:
    texts = ["request.stream", "!request.stream", "caller.claims.missing == 1", "request.choices == 2"]
    answers = compiler.requests([compiler.check(Phase.REQUESTS, text) for text in texts]).evaluate(facts)
    assert [answer if isinstance(answer, bool) else None for answer in answers] == [True, False, None, True]


def test_an_answers_findings_are_not_the_requests(compiler: CelCompiler, facts: RequestFacts) -> None:
    texts = [
        "answer.findings.JWT.count == 3",
        "findings.JWT.count == 0",
        "has(answer.findings.EMAIL_ADDRESS)",
    ]
    conditions = compiler.answers([compiler.check(Phase.ANSWERS, text) for text in texts])
    known = AnswerFacts(facts.caller, facts.request, {"EMAIL_ADDRESS": 1}, {"JWT": 3}, 1e9)
    assert list(conditions.evaluate(known)) == [True, True, False]


def test_paths_see_the_call_and_the_caller(compiler: CelCompiler, facts: RequestFacts) -> None:
    text = "call.method == 'GET' && call.path == '/health' && 'ops' in caller.groups"
    conditions = compiler.paths([compiler.check(Phase.PATHS, text)])
    assert list(conditions.evaluate(PathFacts(facts.caller, "GET", "/health", 1e9))) == [True]
    assert list(conditions.evaluate(PathFacts(facts.caller, "GET", "/metrics", 1e9))) == [False]


def test_reviewers_are_seen_as_persons(compiler: CelCompiler, facts: RequestFacts) -> None:
    conditions = compiler.people([compiler.check(Phase.PEOPLE, "'ops' in person.groups")])
    assert list(conditions.evaluate(facts.caller)) == [True]
    assert list(conditions.evaluate(replace(facts.caller, groups=()))) == [False]


def test_a_value_that_is_no_boolean_is_a_failure_even_if_python_takes_it_for_true(
    compiler: CelCompiler, facts: RequestFacts
) -> None:
    environment = compiler._schema.environments[Phase.REQUESTS]
    for text in ("caller.claims.dept", "caller.claims.level", "1"):
        slipped_through = CelCondition(text, frozenset({"caller.claims"}), environment.compile(text))
        (answer,) = compiler.requests([slipped_through]).evaluate(facts)
        assert isinstance(answer, Failed)


def test_a_condition_of_another_engine_is_our_bug(compiler: CelCompiler) -> None:
    class Foreign:
        text = "true"
        reads: frozenset[str] = frozenset()

    with pytest.raises(TypeError, match="another engine"):
        compiler.requests([Foreign()])
