"""`limits` as a file says it: what it means, and which faults are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.config.read import Loaded
from authz_service.core.limits import CountedBy, Limit, Rates

Load = Callable[[str], Loaded]

WHOLE = """\
limits:
  body: 1MiB
  callers:
    - {requests_per_minute: 60, concurrent: 4}
    - {groups: [interns, guests], tokens_per_day: 100000}
    - {models: [llama], requests_per_minute: 9, open_holds: 2}
  groups:
    - {name: juniors, groups: [interns, trainees], tokens_per_day: 500000, recorded_bytes_per_day: 2MiB}
  keys:
    - {names: [batch], tokens_per_minute: 5000}
  models:
    - {names: [llama], concurrent: 8}
"""


def test_each_entry_limits_callers_keys_or_models(load: Load, smallest: str) -> None:
    limits = load(smallest + WHOLE).config.limits
    assert limits.body == 1024 * 1024
    assert limits.rates == (
        Limit(CountedBy.CALLER, Rates(requests_per_minute=60, concurrent=4)),
        Limit(CountedBy.CALLER, Rates(tokens_per_day=100_000), frozenset({"interns", "guests"})),
        Limit(
            CountedBy.CALLER,
            Rates(requests_per_minute=9, open_holds=2),
            models=frozenset({"llama"}),
        ),
        Limit(
            CountedBy.GROUP,
            Rates(tokens_per_day=500_000, recorded_bytes_per_day=2 * 1024 * 1024),
            frozenset({"interns", "trainees"}),
            "juniors",
        ),
        Limit(CountedBy.KEY, Rates(tokens_per_minute=5000), frozenset({"batch"})),
        Limit(CountedBy.MODEL, Rates(concurrent=8), frozenset({"llama"})),
    )


def test_limits_are_part_of_the_policy_and_a_file_without_them_has_its_old_digest(
    load: Load, smallest: str
) -> None:
    none = load(smallest).policy.digest
    assert load(smallest + "limits: {body: 1MiB}\n").policy.digest == none
    assert load(smallest + WHOLE).policy.digest != none
    assert load(smallest + WHOLE).policy.digest != load(smallest + WHOLE.replace("60", "61")).policy.digest
    for one, other in (("2MiB", "3MiB"), ("open_holds: 2", "open_holds: 3"), ("models: [llama], ", "")):
        assert (
            load(smallest + WHOLE.replace(one, other)).policy.digest != load(smallest + WHOLE).policy.digest
        )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("callers: [{groups: [staff]}]", "limits.callers[0]: limits nothing; give requests_per_minute"),
        (
            "callers: [{requests_per_minute: 0}]",
            "limits.callers[0].requests_per_minute: must be",
        ),
        ("callers: [{groups: [], concurrent: 1}]", "limits.callers[0].groups: must not be empty"),
        ("callers: [{models: [gpt], concurrent: 1}]", "limits.callers[0].models: there is no model 'gpt'"),
        ("models: [{models: [llama], concurrent: 1}]", "limits.models[0]: unknown key 'models'"),
        ("keys: [{open_holds: 0}]", "limits.keys[0].open_holds: must be"),
        ("models: [{names: [gpt], concurrent: 1}]", "limits.models[0].names: there is no model 'gpt'"),
        ("keys: [{groups: [a], concurrent: 1}]", "limits.keys[0]: unknown key 'groups'"),
        ("groups: [{groups: [a], concurrent: 1}]", "limits.groups[0]: name is missing"),
        ("groups: [{name: a, concurrent: 1}]", "limits.groups[0]: groups is missing"),
        (
            "groups: [{name: a, groups: [a], concurrent: 1}, {name: a, groups: [b], concurrent: 1}]",
            "limits.groups[1].name: there is a budget called 'a' already",
        ),
        ("callers: [{recorded_bytes_per_day: 1KB}]", "limits.callers[0].recorded_bytes_per_day: must be"),
        ("callers: [{tokens_per_hour: 1}]", "limits.callers[0]: unknown key 'tokens_per_hour'; did you mean"),
    ],
)
def test_what_limits_nothing_or_cannot_be_is_a_fault_of_the_file(
    faults: Callable[[str], list[tuple[int, int, str]]], smallest: str, entry: str, message: str
) -> None:
    said = [found for _, _, found in faults(f"{smallest}limits:\n  {entry}\n")]
    assert any(found.startswith(message) for found in said), said
