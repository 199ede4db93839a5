"""What says a text once more is cut as the text is, and what only hints at it is gone."""

from __future__ import annotations

from collections.abc import Iterator

from authz_service.inspection.echoes import echoed, outermost
from authz_service.inspection.spans import Cut
from authz_service.view.answer import Echo


def test_each_echo_is_cut_where_its_characters_are() -> None:
    text = "to jo@x.org now"
    echoes = [
        Echo(0, 3, ("t", 0), (("b", 0),)),
        Echo(3, 6, ("t", 1), (("b", 1),)),
        Echo(6, 12, ("t", 2), (("b", 2), ("top", 2))),
        Echo(12, 15, ("t", 3), (("b", 3),)),
        Echo(0, 15, None, (("ids",),)),
    ]
    edits = echoed(text, [Cut(3, 11, "[EMAIL]")], echoes)
    assert edits == {
        ("t", 1): "[EMAIL]",
        ("b", 1): None,
        ("t", 2): " ",
        ("b", 2): None,
        ("top", 2): None,
        ("ids",): None,
    }


class Counting(list[Cut]):
    """Counts how often all of it is walked through."""

    walked = 0

    def __iter__(self) -> Iterator[Cut]:
        self.walked += 1
        return super().__iter__()


def test_many_echoes_of_a_text_with_many_cuts_do_not_each_look_at_all_of_them() -> None:
    cuts = Counting(Cut(2 * at, 2 * at + 1, "*") for at in range(500))
    edits = echoed("x " * 500, cuts, [Echo(2 * at, 2 * at + 2, ("t", at)) for at in range(500)])
    assert edits == {("t", at): "* " for at in range(500)}
    assert cuts.walked < 5


def test_what_stands_below_a_value_that_is_gone_is_not_edited() -> None:
    edits = {("a",): None, ("a", 0, "b"): "x", ("c", "a"): "y", ("a", 1): None}
    assert outermost(edits) == {("a",): None, ("c", "a"): "y"}
    assert outermost({("a",): "x", ("a", "b"): "y"}) == {("a",): "x", ("a", "b"): "y"}
