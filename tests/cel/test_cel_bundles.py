"""Conditions that are asked together have the answers that each has alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.cel.compiler import CelCompiler
from authz_service.cel.evaluation import MOST_TOGETHER
from authz_service.policy.conditions import Answer, Failed, Phase
from authz_service.policy.decision import AnswerFacts, RequestFacts

Ask = Callable[[str], Answer]

TEXTS = (
    "true",
    "false",
    "'staff' in caller.groups",
    "'nobody' in caller.groups",
    "request.stream && request.choices == 3",
    "request.choices == 2 || caller.claims.missing == 'x'",
    "caller.claims.missing == 'x'",
    "caller.claims.dept > 3",
    "size(caller.groups) == 2 && caller.groups[7] == 'x'",
    "request.stream ? request.choices == 2 : false",
    "request.user_text.matches('^hel+o') // a comment",
    "findings.EMAIL_ADDRESS.count > 1\n// another",
    "now.getHours('UTC') < 5",
    "request.tools.all(t, size(t) > 5)",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.sampled_from(TEXTS), max_size=8))
def test_together_each_has_the_answer_that_it_has_alone(
    compiler: CelCompiler, facts: RequestFacts, ask: Ask, texts: list[str]
) -> None:
    together = compiler.requests([compiler.check(Phase.REQUESTS, text) for text in texts])
    assert list(together.evaluate(facts)) == [ask(text) for text in texts]


@pytest.mark.parametrize("count", [MOST_TOGETHER - 1, MOST_TOGETHER, MOST_TOGETHER + 1, 3 * MOST_TOGETHER])
def test_any_number_of_conditions_have_their_answers_in_order(
    compiler: CelCompiler, facts: RequestFacts, count: int
) -> None:
    expected = [n % 3 == 1 or n == count - 1 for n in range(count)]
    conditions = [compiler.check(Phase.REQUESTS, f"{str(is_true).lower()}") for is_true in expected]
    assert list(compiler.requests(conditions).evaluate(facts)) == expected


def test_one_that_fails_leaves_the_others_their_answers(compiler: CelCompiler, facts: RequestFacts) -> None:
    texts = ("request.stream", "caller.claims.missing == 'x'", "!request.stream", "caller.claims.dept > 3")
    answers = compiler.requests([compiler.check(Phase.REQUESTS, text) for text in texts]).evaluate(facts)
    assert answers[0] is True
    assert answers[2] is False
    assert isinstance(answers[1], Failed)
    assert isinstance(answers[3], Failed)
    assert "not there" in answers[1].error
    assert "not of the kind" in answers[3].error


def test_steps_are_counted_for_each_condition(compiler: CelCompiler, facts: RequestFacts) -> None:
    many = replace(facts, request=replace(facts.request, tools=("x",) * 6000))
    texts = ("request.tools.all(t, t == 'x')", "request.tools.all(t, t != 'y')")
    answers = compiler.requests([compiler.check(Phase.REQUESTS, text) for text in texts]).evaluate(many)
    assert list(answers) == [True, True]


def test_conditions_that_are_too_long_for_one_question_are_answered(
    compiler: CelCompiler, facts: RequestFacts
) -> None:
    long = "caller.subject == '" + "x" * 4000 + "'"
    texts = [long, "request.stream"] * (MOST_TOGETHER // 2)
    answers = compiler.requests([compiler.check(Phase.REQUESTS, text) for text in texts]).evaluate(facts)
    assert list(answers) == [False, True] * (MOST_TOGETHER // 2)


def test_what_no_condition_reads_is_not_looked_at(compiler: CelCompiler, facts: RequestFacts) -> None:
    unreadable = replace(
        facts, caller=replace(facts.caller, groups=cast(tuple[str, ...], (5,))), now=float("nan")
    )
    condition = compiler.check(Phase.REQUESTS, "request.stream")
    assert list(compiler.requests([condition]).evaluate(unreadable)) == [True]
    for text in ("'staff' in caller.groups", "now > timestamp('2026-01-01T00:00:00Z')"):
        (answer,) = compiler.requests([compiler.check(Phase.REQUESTS, text)]).evaluate(unreadable)
        assert isinstance(answer, Failed)


def test_rules_for_answers_see_what_was_found_on_either_side(
    compiler: CelCompiler, facts: RequestFacts
) -> None:
    texts = (
        "answer.findings.JWT.count == 1",
        "findings.EMAIL_ADDRESS.count == 2",
        "has(answer.findings.JWT)",
    )
    bundle = compiler.answers([compiler.check(Phase.ANSWERS, text) for text in texts])
    for found, expected in (({"JWT": 1}, [True, True, True]), ({}, [False, True, False])):
        said = AnswerFacts(facts.caller, facts.request, facts.findings, found, facts.now)
        assert list(bundle.evaluate(said)) == expected
