"""A text that is told several times counts once, and no telling takes away what another told."""

from __future__ import annotations

from authz_service.inspection.tally import Tally


def told(tally: Tally, text: str, copy: int, *entities: str) -> dict[str, int]:
    for entity in entities:
        tally.add(entity, text, copy)
    return tally.take()


def test_what_is_told_again_is_not_counted_again() -> None:
    tally = Tally()
    assert told(tally, "a", 0, "X", "X", "Y") == {"X": 2, "Y": 1}
    assert told(tally, "a", 1, "X", "X", "Y") == {}
    assert told(tally, "a", 2, "Y", "X", "X") == {}


def test_a_telling_with_more_counts_what_it_has_more() -> None:
    tally = Tally()
    assert told(tally, "a", 0, "X") == {"X": 1}
    assert told(tally, "a", 1, "X", "X", "Y") == {"X": 1, "Y": 1}
    assert told(tally, "a", 0, "X") == {}
    assert told(tally, "a", 0, "X") == {"X": 1}


def test_other_texts_and_texts_without_a_name_count_each() -> None:
    tally = Tally()
    assert told(tally, "a", 0, "X") == told(tally, "b", 1, "X") == {"X": 1}
    assert told(tally, "", 0, "X", "X") == {"X": 2}
    assert told(tally, "", 1, "X") == {"X": 1}
