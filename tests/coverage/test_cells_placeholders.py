"""In every field of every model API a value becomes a placeholder, and a placeholder the value again."""

from __future__ import annotations

import re

import pytest
from tests.coverage import cells as table
from tests.coverage.cells import Cell, cells

from authz_service.masking.operators import Masks, by_type
from authz_service.masking.placeholders import EVERYWHERE, Place, Placeholders

CELLS = list(cells())
ANSWERS = [cell for cell in CELLS if cell.mode != "request"]
MASKS = Masks({"EMAIL_ADDRESS": by_type}, {"EMAIL_ADDRESS": EVERYWHERE})
VALUE = 'jane@example.com "J" \\ é'
SAID, GIVEN = "To <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_2>.", f"To {VALUE}, not <EMAIL_ADDRESS_2>."


def restoring(*places: Place) -> Placeholders:
    made = Placeholders({"EMAIL_ADDRESS": frozenset(places)})
    made.name("EMAIL_ADDRESS", VALUE)
    return made


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.mode == "request"], ids=repr)
def test_the_model_sees_placeholders_in_every_field(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "builtin_names", lambda: MASKS)
    text = "Ask jane@example.com or bob@example.org, not <EMAIL_ADDRESS_1>, jane@example.com."
    seen = "Ask <EMAIL_ADDRESS_1> or <EMAIL_ADDRESS_2>, not <PLACEHOLDER_1>, <EMAIL_ADDRESS_1>."
    assert cell.through(text) == seen


@pytest.mark.parametrize("cell", ANSWERS, ids=repr)
def test_the_caller_gets_the_values_in_every_field(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.LIMITS, "placeholders", restoring(*Place))
    assert cell.through(SAID) == GIVEN


def test_what_tools_are_called_with_is_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {repr(cell): cell for cell in ANSWERS}
    of_tools = {name for name in answers if re.search(r"arguments|input|code", name)}
    for place, left in ((Place.TEXT, of_tools), (Place.TOOL_ARGUMENTS, answers.keys() - of_tools)):
        monkeypatch.setitem(table.LIMITS, "placeholders", restoring(place))
        said = {name: cell.through(SAID) for name, cell in answers.items()}
        assert {name for name, text in said.items() if text == SAID} == left
        assert {text for name, text in said.items() if name not in left} == {GIVEN}
