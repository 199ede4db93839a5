"""Who may review is decided by the conditions in force, and doubt is a no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from authz_service.config.read import Loaded
from authz_service.core.grant_terms import Wanted, require_same_voters, terms_from
from authz_service.core.grants import Traits
from authz_service.core.holds import Approval, Escalation, Stage, StageRef
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Conflict
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


ALICE = Caller("urn:authz:embedded", "alice", 2e9, ("contractors",))


def held(*approvals: Approval, caller: Caller = ALICE, **findings: int) -> Hold:
    """What waits for these approvals."""
    return Hold(
        id="hld_1",
        session="ses_1",
        caller=caller,
        fingerprint="f",
        changes="c",
        digest="d",
        size=0,
        forward=b"{}",
        api="openai",
        operation="chat.completions",
        model="llama",
        rule="contractors",
        reason="",
        policy="p",
        approvals=approvals,
        findings=findings,
        previous=None,
        state=HoldState.PENDING,
        version=1,
        created_at=0.0,
        deadline=60.0,
    )


@pytest.fixture
def loaded(load: Load, smallest: str) -> Loaded:
    return load(smallest + RULES)


@pytest.fixture
def person() -> Caller:
    return Caller("urn:authz:embedded", "ann", 2e9, ("reviewers", "security"))


def test_reviewers_auditors_and_stages_are_those_that_the_file_names(loaded: Loaded, person: Caller) -> None:
    roles, hold = loaded.roles, held(*loaded.config.approvals)
    assert roles.is_reviewer(person)
    assert roles.is_auditor(person)
    assert roles.stages_for(person, hold) == (StageRef("security", 0),)
    boss = replace(person, subject="boss", groups=("contractors",))
    assert not roles.is_reviewer(boss)
    assert not roles.is_auditor(boss)
    assert not roles.is_operator(person)
    assert roles.is_operator(replace(person, groups=("operators",)))
    assert roles.stages_for(boss, hold) == (StageRef("security", 1),)


def test_groups_that_may_be_missing_give_no_role(loaded: Loaded, person: Caller) -> None:
    partial = replace(person, groups_complete=False)
    assert not loaded.roles.is_reviewer(partial)
    assert not loaded.roles.is_auditor(partial)
    assert not loaded.roles.is_operator(replace(partial, groups=("operators",)))
    assert loaded.roles.stages_for(partial, held(*loaded.config.approvals)) == ()


@pytest.mark.parametrize(
    "condition",
    [
        "person.grops == 1",
        "caller.sub == 'ann'",
        "request.user_text == 'x'",
        "findings.NONE.count > 0",
        "person.claims.level > 2",
        "'x'",
        "",
        "person.subject",
    ],
)
def test_a_stage_of_an_earlier_file_that_cannot_be_judged_names_nobody(
    loaded: Loaded, person: Caller, condition: str
) -> None:
    old = Approval("old", (Stage(condition, 1, 60.0),))
    assert loaded.roles.stages_for(person, held(old)) == ()


def test_a_stage_of_an_earlier_file_that_can_be_judged_still_counts(loaded: Loaded, person: Caller) -> None:
    old = Approval("old", (Stage("person.subject == 'ann'", 1, 60.0),))
    assert loaded.roles.stages_for(person, held(old)) == (StageRef("old", 0),)


def test_many_earlier_conditions_do_not_pile_up(loaded: Loaded, person: Caller) -> None:
    for index in range(600):
        old = Approval("old", (Stage(f"person.subject == 'p{index}'", 1, 60.0),))
        assert loaded.roles.stages_for(person, held(old)) == ()
    assert loaded.roles.stages_for(person, held(*loaded.config.approvals)) == (StageRef("security", 0),)


def test_with_two_issuers_an_earlier_stage_that_trusts_any_issuers_group_names_nobody(
    load: Load, smallest: str, person: Caller
) -> None:
    issuer = "{{url: 'https://{0}', audience: gw, algorithms: [RS256], jwks: k}}"
    text = f"""{smallest}
identity: {{issuers: [{issuer.format("a")}, {issuer.format("b")}]}}
review: {{reviewers: "person.issuer == 'https://a' && 'r' in person.groups", auditors: "false"}}
"""
    old = Approval("old", (Stage("'security' in person.groups", 1, 60.0),))
    assert load(text).roles.stages_for(person, held(old)) == ()


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("'contractors' in caller.groups && 'security' in person.groups", True),
        ("person.claims.team == 'red' && caller.claims.site == 'here'", True),
        ("person.claims.team == 'blue'", False),
        ("caller.claims.site == 'there'", False),
        ("caller.subject != person.subject && request.model == 'llama'", True),
        ("request.rule == 'contractors' && request.api == 'openai'", True),
        ("request.operation.startswith('chat') && findings.EMAIL_ADDRESS.count == 2", False),
        ("request.operation.startsWith('chat') && findings.EMAIL_ADDRESS.count == 2", True),
        ("has(findings.IBAN_CODE)", False),
        ("'staff' in caller.groups", False),
    ],
)
def test_a_stage_knows_the_reviewer_and_what_waits(
    loaded: Loaded, person: Caller, condition: str, *, names: bool
) -> None:
    here = replace(ALICE, claims={"site": "here"})
    hold = held(Approval("old", (Stage(condition, 1, 60.0),)), caller=here, EMAIL_ADDRESS=2)
    red = replace(person, claims={"team": "red"})
    assert loaded.roles.stages_for(red, hold) == ((StageRef("old", 0),) if names else ())


def test_a_stage_that_reads_the_callers_groups_names_nobody_while_some_may_be_missing(
    loaded: Loaded, person: Caller
) -> None:
    partial = replace(ALICE, groups_complete=False)
    reads = Approval("old", (Stage("!('staff' in caller.groups)", 1, 60.0),))
    asks = Approval("old", (Stage("!('staff' in caller.groups) && !caller.groups_complete", 1, 60.0),))
    assert loaded.roles.stages_for(person, held(reads, caller=partial)) == ()
    assert loaded.roles.stages_for(person, held(reads)) == (StageRef("old", 0),)
    assert loaded.roles.stages_for(person, held(asks, caller=partial)) == (StageRef("old", 0),)


def test_an_escalation_names_its_own_people_for_the_same_stage(loaded: Loaded, person: Caller) -> None:
    stage = Stage("person.subject == 'boss'", 1, 60.0, Escalation("'security' in person.groups", 60.0))
    assert loaded.roles.stages_for(person, held(Approval("old", (stage,)))) == (StageRef("old", 0, True),)


def test_an_account_of_a_service_votes_only_where_the_stage_says_so(loaded: Loaded) -> None:
    robot = Caller("urn:authz:embedded", "robot", 2e9, ("reviewers", "security"), scope=())
    closed = Approval("closed", (Stage("true", 1, 60.0),))
    opened = Approval("open", (Stage("true", 1, 60.0, service_accounts=True),))
    assert loaded.roles.stages_for(robot, held(closed, opened)) == (StageRef("open", 0),)
    human = replace(robot, scope=None)
    assert len(loaded.roles.stages_for(human, held(closed, opened))) == 2


def test_break_glass_is_for_whom_the_file_names_and_never_for_a_service(
    load: Load, smallest: str, person: Caller
) -> None:
    assert not load(smallest).roles.may_break_glass(person)
    glass = load(smallest + "review: {break_glass: \"'security' in person.groups\"}\n").roles
    assert glass.may_break_glass(person)
    assert not glass.may_break_glass(replace(person, scope=()))
    assert not glass.may_break_glass(replace(person, groups_complete=False))


def test_what_stages_look_at_is_told_escalations_included(loaded: Loaded) -> None:
    above = Escalation("findings.PRIVATE_KEY.count > 0 || person.subject == 'boss'", 60.0)
    rule = Stage("request.rule == 'contractors' && 'security' in person.groups", 1, 60.0, above)
    caller = Stage("'team-a' in caller.groups", 1, 60.0)
    assert loaded.roles.stage_reads(held(Approval("one", (rule,)), Approval("two", (caller,)))) == {
        "caller.groups",
        "findings.PRIVATE_KEY",
        "person.groups",
        "person.subject",
        "request.rule",
    }


def test_a_stage_that_cannot_be_read_any_more_makes_no_grant(loaded: Loaded) -> None:
    wanted = Wanted("", (), (), "", False, 1, 2_000_000_000)
    hold = replace(
        held(Approval("old", (Stage("findings.GONE.count > 0", 1, 60.0),))),
        traits=Traits(("contractors",), (), (), "a" * 64),
    )
    reads = loaded.roles.stage_reads(hold)
    terms = terms_from(hold, wanted, reads=reads)
    with pytest.raises(Conflict) as refused:
        require_same_voters(terms, hold, reads)
    assert refused.value.code == "voters_differ"


def test_what_is_concealed_is_shown_to_whom_a_condition_exempts_beyond_doubt_and_to_no_other(
    load: Load, smallest: str, person: Caller
) -> None:
    text = """\
review:
  conceal:
    - {entities: [EMAIL_ADDRESS, STAFF], unless: "'privacy' in person.groups"}
    - {entities: [CREDIT_CARD]}
detectors: [{name: STAFF, pattern: 'S-[0-9]+'}]
"""
    loaded = load(smallest + text)
    trusted = replace(person, groups=("privacy",))
    assert loaded.roles.concealed_from(person) == {"EMAIL_ADDRESS", "STAFF", "CREDIT_CARD"}
    assert loaded.roles.concealed_from(trusted) == {"CREDIT_CARD"}
    partial = replace(trusted, groups_complete=False)
    assert loaded.roles.concealed_from(partial) == {"EMAIL_ADDRESS", "STAFF", "CREDIT_CARD"}
    failing = load(
        smallest + "review: {conceal: [{entities: [US_SSN], unless: 'person.claims.level > 2'}]}\n"
    )
    assert failing.roles.concealed_from(person) == {"US_SSN"}
    without = load(smallest)
    assert without.roles.concealed_from(person) == frozenset()
    assert len({loaded.digest, failing.digest, without.digest}) == 3
