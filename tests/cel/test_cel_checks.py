"""What an expression gets wrong is an error when the file is loaded, with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.cel.compiler import LONGEST_CONDITION, CelCompiler
from authz_service.policy.conditions import BadCondition, Phase, TextFault

Check = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("'staff' in caller.grops", 18, "unknown field 'grops'; did you mean 'groups'?"),
        ("findings.EMIAL_ADDRESS.count > 0", 9, "did you mean 'EMAIL_ADDRESS'"),
        ("'ä' == caller.grops", 14, "unknown field 'grops'"),
        ("caller.subject + 1 == 'x'", 16, "no matching overload"),
        ("nobody.subject == 'x'", 7, "undeclared reference"),
        ("caller.subject ==", 18, "Syntax error"),
        ("", 1, "Syntax error"),
        ("caller.subject", 1, "this one gives string"),
        ("caller.claims.admin", 1, "this one gives dyn"),
        ("1", 1, "this one gives int"),
        ("cel.bind(x, 1, x == 1)", 10, "undeclared"),
    ],
)
def test_a_condition_that_is_no_boolean_over_known_fields_is_refused_with_its_column(
    faults: Check, text: str, column: int, message: str
) -> None:
    first = faults(text)[0]
    assert (first.line, first.column) == (1, column)
    assert message in first.message


def test_a_fault_on_a_later_line_has_that_line(faults: Check) -> None:
    (fault,) = faults("caller.subject == 'x' &&\n  caller.x == 'y'")
    assert (fault.line, fault.column) == (2, 9)


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (Phase.REQUESTS, "answer.findings.JWT.count > 0"),
        (Phase.PATHS, "request.model == 'llama'"),
        (Phase.PATHS, "findings.JWT.count > 0"),
        (Phase.PEOPLE, "caller.subject == 'x'"),
        (Phase.STAGES, "now > timestamp('2026-01-01T00:00:00Z')"),
        (Phase.STAGES, "request.new_turn == ''"),
        (Phase.PEOPLE, "now > timestamp('2026-01-01T00:00:00Z')"),
        (Phase.REQUESTS, "person.subject == 'x'"),
        (Phase.ANSWERS, "answer.text.contains('x')"),
    ],
)
def test_what_a_phase_cannot_know_is_refused_rather_than_empty(
    faults: Check, phase: Phase, text: str
) -> None:
    assert "undeclared" in (message := faults(text, phase)[0].message) or "unknown field" in message


@pytest.mark.parametrize(
    "text",
    [
        "request.user_text.matches('(')",
        "false && request.user_text.matches('(')",
        "matches(request.user_text, 'a{1000}{1000}') || true",
        "request.tools.exists(t, t.matches('(?=x)'))",
        "1 / 0 == 1 || true",
        "true || [1].exists(x, 1 / 0 == x)",
        "caller.subject == 'x' && timestamp('2026-13-01T00:00:00Z') < now",
        "false && duration('soon') > duration('1s')",
        "false && now.getHours('Nowhere/Atall') > 3",
        "{'a': true}['b']",
        "int('twelve') == 12",
    ],
)
def test_a_constant_that_is_wrong_is_found_even_where_no_test_run_would_pass(
    faults: Check, text: str
) -> None:
    assert faults(text)


def test_a_bad_pattern_is_pointed_at(faults: Check) -> None:
    (fault,) = faults("false && request.user_text.matches('(')")
    assert fault.column == 36
    assert "missing )" in fault.message


@pytest.mark.parametrize(
    "text", ["request.model.matches(caller.subject)", "'x'.matches('a' + caller.subject)"]
)
def test_nobody_writes_a_pattern_but_the_operator(faults: Check, text: str) -> None:
    assert any("string literal" in fault.message for fault in faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "caller == caller",
        "[caller].exists(c, 'staff' in c.groups)",
        "findings == findings",
        "(true ? caller : caller).subject == 'x'",
        "type(caller) == type(caller)",
        "dyn(caller.subject) == 3",
        "[1].all(caller, caller == 1)",
        "authz.rules.Person{subject: 'x'}.subject == 'x'",
    ],
)
def test_what_would_hide_what_a_rule_reads_is_refused(faults: Check, text: str) -> None:
    assert faults(text)


def test_an_index_that_a_plain_request_does_not_have_is_refused_unless_it_is_guarded(
    faults: Check, ask: Check
) -> None:
    assert "end of a list" in faults("request.tools[0] == 'shell'")[0].message
    assert ask("size(request.tools) > 1 && request.tools[1] == 'shell'") is True


@pytest.mark.parametrize(
    "text", ["1+" * 400 + "1 > 0", "(" * 60 + "true" + ")" * 60, "true || " * LONGEST_CONDITION + "true"]
)
def test_an_expression_beyond_the_engines_depth_or_ours_is_refused_with_a_reason(
    faults: Check, text: str
) -> None:
    assert faults(text)[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'staff' in caller.groups", {"caller.groups"}),
        ("findings.JWT.count > findings.PRIVATE_KEY.count", {"findings.JWT", "findings.PRIVATE_KEY"}),
        ("has(findings.JWT) && now > timestamp('2026-01-01T00:00:00Z')", {"findings.JWT", "now"}),
        ("caller.claims.dept == 'x'", {"caller.claims", "caller.claims.dept"}),
        ("has(caller.claims.dept)", {"caller.claims", "caller.claims.dept"}),
        ("caller.claims['a.b'].c == 'x'", {"caller.claims", "caller.claims.a.b"}),
        ("'x' in caller.claims", {"caller.claims", "caller.claims.*", "caller.groups"}),
        ("request.tools.exists(t, t == request.model)", {"request.tools", "request.model"}),
        ("true", set()),
    ],
)
def test_a_condition_tells_what_it_reads(reads: Check, text: str, expected: set[str]) -> None:
    assert reads(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "caller.claims.groups == ['x']",
        "caller.claims['groups'] == ['x']",
        "caller.claims.realm_access.roles == ['x']",
        "has(caller.claims.realm_access)",
        "'groups' in caller.claims",
        "caller.claims[caller.subject] == 'x'",
        "caller.claims.exists(name, name == 'x')",
        "[caller.claims].exists(c, 'groups' in c)",
    ],
)
def test_groups_that_are_read_through_the_claims_count_as_groups(reads: Check, text: str) -> None:
    assert "caller.groups" in reads(text)


def test_what_is_read_of_an_answer_is_told_apart_from_the_request(reads: Check) -> None:
    text = "answer.findings.JWT.count > findings.JWT.count"
    assert reads(text, Phase.ANSWERS) == {"answer.findings.JWT", "findings.JWT"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("caller.groups'\" in&|!()[]{}<>=0123\\\n\té\U0001f600request,findings", max_size=60))
def test_any_text_is_either_a_condition_or_a_list_of_faults(compiler: CelCompiler, text: str) -> None:
    found: tuple[TextFault, ...] = ()
    try:
        condition = compiler.check(Phase.REQUESTS, text)
    except BadCondition as bad:
        found = bad.faults
    else:
        assert condition.text == text
        return
    assert found
    assert all(fault.line >= 1 and fault.column >= 1 and fault.message for fault in found)
