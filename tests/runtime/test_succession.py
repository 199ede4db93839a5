"""A process that serves alone knows since when none died, by what the one before it has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_service.runtime.succession import Succession


def test_a_first_process_knows_of_none_before_it(tmp_path: Path) -> None:
    assert Succession(tmp_path / "note").take(100.0) == 100.0


def test_those_that_end_in_order_hand_on_since_when_they_did(tmp_path: Path) -> None:
    for now in (100.0, 200.0, 300.0):
        succession = Succession(tmp_path / "note")
        since = succession.take(now)
        assert since == 100.0
        succession.leave(since)


def test_after_a_death_it_counts_from_the_next_one_on(tmp_path: Path) -> None:
    succession = Succession(tmp_path / "note")
    succession.leave(succession.take(100.0))
    assert succession.take(200.0) == 100.0  # and this one dies
    assert succession.take(300.0) == 300.0


@pytest.mark.parametrize("said", ["", "soon", "nan", "-inf", "inf", "1e9"])
def test_a_note_that_says_nothing_possible_counts_for_nothing_and_is_gone(tmp_path: Path, said: str) -> None:
    note = tmp_path / "note"
    note.write_text(said)
    assert Succession(note).take(300.0) == 300.0
    assert not note.exists()


def test_a_note_that_cannot_be_taken_away_counts_for_nothing(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.mkdir()
    assert Succession(note).take(300.0) == 300.0
    Succession(tmp_path / "no" / "folder").leave(100.0)
