"""What a grant covers, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.core.caller_facts import are_still_true, caller_facts
from authz_service.core.grants import Held, OneCaller, OneGroup, Terms, Traits, covers
from authz_service.core.holds import Approval, Stage
from authz_service.view.caller import API_KEYS, Caller

NOW = 1_800_000_000.0
ISSUER = "https://id"
SECURITY = Approval("security", (Stage("true", 1, 600.0),))
LEGAL = Approval("legal", (Stage("true", 2, 600.0),))
ALICE = Caller(ISSUER, "alice", NOW + 3600, ("staff", "dev"))
TRAITS = Traits(("contractors", "tools"), ("search", "shell"), ("image",), "a" * 64)
HELD = Held(ALICE, "openai_chat", "chat_completions", "llama", TRAITS, (SECURITY,))
TERMS = Terms(
    OneCaller(ALICE.identity),
    "openai_chat",
    "chat_completions",
    "llama",
    TRAITS.rules,
    TRAITS.tools,
    TRAITS.unread,
    "",
    (SECURITY,),
    3,
    int(NOW) + 60,
)
RITA = (ISSUER, "rita")


def is_covered(terms: Terms = TERMS, held: Held = HELD, *makers: tuple[str, str], now: float = NOW) -> bool:
    return covers(terms, held, makers or (RITA,), now=now)


def with_traits(**changed: Any) -> Held:
    return replace(HELD, traits=replace(TRAITS, **changed))


def test_a_request_of_the_same_kind_is_covered() -> None:
    assert is_covered()


def test_less_than_was_agreed_to_is_covered_too() -> None:
    less = with_traits(rules=("tools",), tools=(), unread=())
    assert is_covered(TERMS, less)
    assert is_covered(replace(TERMS, approvals=(SECURITY, LEGAL)))


@pytest.mark.parametrize(
    "held",
    [
        replace(HELD, caller=replace(ALICE, subject="bob")),
        replace(HELD, caller=replace(ALICE, issuer="https://other")),
        replace(HELD, api="anthropic"),
        replace(HELD, operation="responses"),
        replace(HELD, model="gpt"),
        replace(HELD, approvals=(SECURITY, LEGAL)),
        replace(HELD, approvals=(replace(SECURITY, stages=(Stage("true", 2, 600.0),)),)),
        replace(HELD, approvals=(replace(SECURITY, snapshot=True),)),
        replace(HELD, approvals=()),
        with_traits(rules=("contractors", "tools", "secrets")),
        with_traits(rules=()),
        with_traits(tools=("search", "deploy")),
        with_traits(unread=("image", "file")),
    ],
)
def test_what_nobody_agreed_to_is_not_covered(held: Held) -> None:
    assert not is_covered(TERMS, held)


def test_a_template_is_the_same_or_the_request_is_not_covered() -> None:
    bound = replace(TERMS, template="a" * 64)
    assert is_covered(bound)
    assert not is_covered(bound, with_traits(template="b" * 64))


def test_it_ends_at_its_time_and_an_expired_token_lets_nothing_through() -> None:
    assert is_covered(now=TERMS.until - 0.001)
    assert not is_covered(now=float(TERMS.until))
    assert not is_covered(TERMS, replace(HELD, caller=replace(ALICE, expires_at=NOW)))


def test_a_group_is_that_of_one_issuer() -> None:
    staff = replace(TERMS, beneficiary=OneGroup(ISSUER, "staff"))
    bob = replace(ALICE, subject="bob")
    assert is_covered(staff, replace(HELD, caller=bob))
    assert not is_covered(staff, replace(HELD, caller=replace(bob, issuer="https://other")))
    assert not is_covered(staff, replace(HELD, caller=replace(bob, groups=("dev",))))


READS = ("caller.groups", "caller.claims", "caller.claims.dept", "person.groups", "findings.JWT")
KNOWN = replace(ALICE, claims={"dept": "it", "iat": 1})


@pytest.mark.parametrize(
    ("changed", "is_the_same"),
    [
        ({"groups": ("dev", "staff"), "claims": {"iat": 2, "dept": "it"}}, True),
        ({"groups": ("staff",)}, False),
        ({"groups_complete": False}, False),
        ({"claims": {"dept": "sales"}}, False),
        ({"claims": {"dept": None}}, False),
        ({"claims": {}}, False),
    ],
)
def test_what_says_who_votes_stays_as_it_was_or_the_request_is_not_covered(
    changed: dict[str, Any], is_the_same: bool
) -> None:
    bound = replace(TERMS, unchanged=caller_facts(KNOWN, READS))
    assert [name for name, _ in bound.unchanged] == ["claims.dept", "groups"]
    assert is_covered(bound, replace(HELD, caller=KNOWN))
    assert is_covered(bound, replace(HELD, caller=replace(KNOWN, **changed))) is is_the_same
    assert is_covered(TERMS, replace(HELD, caller=replace(KNOWN, **changed)))


@pytest.mark.parametrize("name", ["subject", "issuer", "person", "groups_complete"])
def test_every_field_of_a_caller_can_be_told_from_another(name: str) -> None:
    (fact,) = caller_facts(KNOWN, [f"caller.{name}"])
    other: dict[str, Any] = {"subject": "x", "issuer": "x", "person": "x", "groups_complete": False}
    assert are_still_true([fact], KNOWN)
    assert not are_still_true([fact], replace(KNOWN, **{name: other[name]}))


ROBOT = Caller(ISSUER, "robot", NOW + 60, ("staff",), claims={"owner": "rita"})


@pytest.mark.parametrize(
    ("maker", "caller"),
    [
        ((ISSUER, "rita"), replace(ALICE, subject="rita")),
        (("person", "rita@corp"), replace(ALICE, subject="rita", person="rita@corp")),
        ((ISSUER, "rita"), replace(ALICE, subject="rita", person="rita@corp")),
        ((ISSUER, "rita"), ROBOT),
        (("person", "rita"), ROBOT),
        (("https://elsewhere", "RITA"), replace(ROBOT, issuer=API_KEYS)),
    ],
)
def test_it_is_of_no_use_to_whoever_voted_for_it(maker: tuple[str, str], caller: Caller) -> None:
    terms = replace(TERMS, beneficiary=OneGroup(caller.issuer, "staff"))
    held = replace(HELD, caller=caller)
    assert is_covered(terms, held, (ISSUER, "rob"))
    assert not is_covered(terms, held, (ISSUER, "rob"), maker)


def test_a_grant_without_uses_approvals_or_rules_cannot_be_made() -> None:
    for changed in ({"uses": 0}, {"uses": 10_001}, {"approvals": ()}, {"rules": ()}):
        with pytest.raises(ValueError, match="grant"):
            replace(TERMS, **changed)


NAMES = st.sets(st.sampled_from("abc")).map(lambda names: tuple(sorted(names)))


@given(NAMES, NAMES, NAMES, NAMES, st.sampled_from(["", "x", "y"]), st.sampled_from("xy"))
def test_whatever_is_covered_has_nothing_that_was_not_agreed_to(
    rules: tuple[str, ...],
    tools: tuple[str, ...],
    asked_rules: tuple[str, ...],
    asked_tools: tuple[str, ...],
    template: str,
    asked_template: str,
) -> None:
    if not rules:
        return
    terms = replace(TERMS, rules=rules, tools=tools, template=template)
    held = replace(HELD, traits=Traits(asked_rules, asked_tools, (), asked_template))
    expected = (
        asked_rules != ()
        and set(asked_rules) <= set(rules)
        and set(asked_tools) <= set(tools)
        and template in ("", asked_template)
    )
    assert is_covered(terms, held) is expected
