"""What an edit of a list changed is told once, however many items moved or went."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.inspection.test_edited import BEFORE, SCANNER, inspect

from authz_service.errors import Unreadable
from authz_service.inspection.edited import MOST_CHANGES, MOST_VALUES, differences, edited_request

TURNS = [{"role": "user", "content": f"turn {number}"} for number in range(50)]
NEW = {"role": "user", "content": "new"}


def told(before: object, after: object) -> Any:
    return json.loads(differences(json.dumps(before).encode(), json.dumps(after).encode()))


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ([TURNS[0], *TURNS[2:]], [{"path": [1], "before": TURNS[1]}]),
        ([*TURNS[:7], NEW, *TURNS[7:]], [{"path": [7], "after": NEW}]),
        (
            [*TURNS[:7], NEW, *TURNS[9:]],
            [
                {"path": [7, "content"], "before": "turn 7", "after": "new"},
                {"path": [8], "before": TURNS[8]},
            ],
        ),
        ([*TURNS[:7], NEW, *TURNS[8:]], [{"path": [7, "content"], "before": "turn 7", "after": "new"}]),
        (TURNS[:-1], [{"path": [49], "before": TURNS[49]}]),
        ([], [{"path": [at], "before": turn} for at, turn in enumerate(TURNS)]),
    ],
    ids=["out", "in", "fewer", "other", "last", "all"],
)
def test_turns_that_come_and_go_are_told_and_those_around_them_are_not(
    after: list[object], changes: list[object]
) -> None:
    assert told(TURNS, after) == changes


def test_a_turn_with_its_members_in_another_order_is_no_turn_that_stayed() -> None:
    turned = dict(reversed(TURNS[0].items()))
    paths = [change["path"] for change in told(TURNS, [turned, *TURNS[2:]])]
    assert paths == [[0], [1]]
    paths = [change["path"] for change in told([TURNS, 1], [[turned, *TURNS[1:]]])]
    assert paths == [[0, 0], [1]]


@pytest.mark.parametrize("after", [[1], [2] * 10_000], ids=["cut", "other"])
def test_what_has_very_many_changes_is_told_whole(after: list[int]) -> None:
    before = {"n": 1, "input": [1] * 10_000}
    assert told(before, {"n": 2, "input": after}) == [
        {"path": ["n"], "before": 1, "after": 2},
        {"path": ["input"], "before": before["input"], "after": after},
    ]


def test_no_places_make_it_much_larger_than_what_was_and_is() -> None:
    before, after = ({"k" * 10_000: [number] * MOST_CHANGES} for number in (1, 2))
    assert told(before, after) == [{"path": [], "before": before, "after": after}]
    before, after = ({f"{at}": [number] * 500 for at in range(100)} for number in (1, 2))
    assert told(before, after) == [{"path": [], "before": before, "after": after}]


@pytest.mark.parametrize("is_large_before", [True, False])
def test_a_request_of_very_many_values_is_refused(is_large_before: bool) -> None:
    large = BEFORE.replace(b"}]", b"}], " + b'"x": [%b1]' % (b"1," * MOST_VALUES))
    bodies = (large, BEFORE) if is_large_before else (BEFORE, large)
    with pytest.raises(Unreadable, match="100,000 values") as caught:
        edited_request(*bodies, inspect, SCANNER.entities)
    assert caught.value.code == "edit_too_large"
