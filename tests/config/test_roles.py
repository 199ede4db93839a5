"""Who may review is decided by the conditions in force, and doubt is a no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from authz_service.config.read import Loaded
from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.view.caller import Caller

Load = Callable[[str], Loaded]

RULES = """\
review: {reviewers: "'reviewers' in person.groups", auditors: "!('contractors' in person.groups)"}
approvals:
  security:
    stages:
      - {reviewers: "'security' in person.groups", within: 1h}
      - {reviewers: "person.subject == 'boss'", within: 1h}
"""


@pytest.fixture
def loaded(load: Load, smallest: str) -> Loaded:
    return load(smallest + RULES)


@pytest.fixture
def person() -> Caller:
    return Caller("urn:authz:embedded", "ann", 2e9, ("reviewers", "security"))


def test_reviewers_auditors_and_stages_are_those_that_the_file_names(loaded: Loaded, person: Caller) -> None:
    roles, approvals = loaded.roles, loaded.config.approvals
    assert roles.is_reviewer(person)
    assert roles.is_auditor(person)
    assert roles.stages_for(person, approvals) == (StageRef("security", 0),)
    boss = replace(person, subject="boss", groups=("contractors",))
    assert not roles.is_reviewer(boss)
    assert not roles.is_auditor(boss)
    assert not roles.is_operator(person)
    assert roles.is_operator(replace(person, groups=("operators",)))
    assert roles.stages_for(boss, approvals) == (StageRef("security", 1),)


def test_groups_that_may_be_missing_give_no_role(loaded: Loaded, person: Caller) -> None:
    partial = replace(person, groups_complete=False)
    assert not loaded.roles.is_reviewer(partial)
    assert not loaded.roles.is_auditor(partial)
    assert not loaded.roles.is_operator(replace(partial, groups=("operators",)))
    assert loaded.roles.stages_for(partial, loaded.config.approvals) == ()


@pytest.mark.parametrize(
    "condition",
    ["person.grops == 1", "caller.subject == 'ann'", "person.claims.level > 2", "'x'", "", "person.subject"],
)
def test_a_stage_of_an_earlier_file_that_cannot_be_judged_names_nobody(
    loaded: Loaded, person: Caller, condition: str
) -> None:
    old = Approval("old", (Stage(condition, 1, 60.0),))
    assert loaded.roles.stages_for(person, [old]) == ()


def test_a_stage_of_an_earlier_file_that_can_be_judged_still_counts(loaded: Loaded, person: Caller) -> None:
    old = Approval("old", (Stage("person.subject == 'ann'", 1, 60.0),))
    assert loaded.roles.stages_for(person, [old]) == (StageRef("old", 0),)


def test_many_earlier_conditions_do_not_pile_up(loaded: Loaded, person: Caller) -> None:
    for index in range(600):
        old = Approval("old", (Stage(f"person.subject == 'p{index}'", 1, 60.0),))
        assert loaded.roles.stages_for(person, [old]) == ()
    assert loaded.roles.stages_for(person, loaded.config.approvals) == (StageRef("security", 0),)


def test_with_two_issuers_an_earlier_stage_that_trusts_any_issuers_group_names_nobody(
    load: Load, smallest: str, person: Caller
) -> None:
    issuer = "{{url: 'https://{0}', audience: gw, algorithms: [RS256], jwks: k}}"
    text = f"""{smallest}
identity: {{issuers: [{issuer.format("a")}, {issuer.format("b")}]}}
review: {{reviewers: "person.issuer == 'https://a' && 'r' in person.groups", auditors: "false"}}
"""
    old = Approval("old", (Stage("'security' in person.groups", 1, 60.0),))
    assert load(text).roles.stages_for(person, [old]) == ()
