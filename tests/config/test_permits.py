"""`permits` names kinds, each checked, of rules for requests that allow or hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.config.read import Loaded
from authz_service.view.unread import Kind

RULES = """\
approvals: {security: {stages: [{reviewers: "true", within: 1h}]}}
requests:
  rules:
"""


def with_rule(smallest: str, rest: str) -> str:
    return f'{smallest}{RULES}    - {{name: r, when: "true", {rest}}}'


@pytest.mark.parametrize("effect", ["effect: allow", "effect: hold, approval: security"])
def test_kinds_are_read_by_name(load: Callable[[str], Loaded], smallest: str, effect: str) -> None:
    (rule,) = load(with_rule(smallest, f"{effect}, permits: [image, audio]")).policy.request_rules.rules
    assert rule.permits == {Kind.IMAGE, Kind.AUDIO}


def test_what_a_rule_permits_is_part_of_the_policy(load: Callable[[str], Loaded], smallest: str) -> None:
    digests = {
        load(with_rule(smallest, rest)).policy.digest
        for rest in ("effect: allow", "effect: allow, permits: [image]", "effect: allow, permits: [audio]")
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("effect: deny, permits: [image]", "rules for requests that allow or hold"),
        ("effect: allow, permits: [images]", "must be audio or code"),
        ("effect: allow, permits: [malformed]", "must be audio or code"),
        ("effect: allow, permits: image", "list"),
        ("effect: allow, permits: []", ""),
    ],
)
def test_what_cannot_be_permitted_is_a_fault_of_the_file(
    faults: Callable[[str], list[tuple[int, int, str]]], smallest: str, rest: str, message: str
) -> None:
    ((line, _, said),) = faults(with_rule(smallest, rest))
    assert line == 6
    assert message in said


def test_rules_for_answers_permit_nothing(
    faults: Callable[[str], list[tuple[int, int, str]]], smallest: str
) -> None:
    rule = '{name: r, when: "true", effect: allow, permits: [image]}'
    ((_, _, said),) = faults(f"{smallest}answers: {{rules: [{rule}]}}")
    assert "rules for requests" in said
