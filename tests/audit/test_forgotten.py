"""What entries about retention say together: what is gone, what is kept, what is still to be done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import Forgotten, Keep, is_about_another
from authz_service.audit.retention import Retention


def purge(first: int, last: int, *, but: list[str] | None = None, only: list[str] | None = None) -> Any:
    told = {"class": "payloads", "first": first, "last": last, "but": but or [], "only": only or []}
    return {**told, "policy": "record.keep.payloads: 90d", "entries": 5}


def of(*entries: tuple[int, str, dict[str, Any]]) -> Forgotten:
    return Forgotten.of((sequence, sequence * 10, kind, data) for sequence, kind, data in entries)


def test_a_range_takes_what_is_in_it_but_for_the_sessions_that_it_names() -> None:
    known = of((100, Kind.RECORD_PURGED, purge(1, 50, but=["kept"])))
    assert known.purge_of(Retention.PAYLOADS, 50, "s") is not None
    assert known.purge_of(Retention.PAYLOADS, 51, "s") is None
    assert known.purge_of(Retention.PAYLOADS, 7, "kept") is None
    assert known.purge_of(Retention.ORIGINALS, 7, "s") is not None, "with payloads goes what came before them"
    assert known.purge_of(Retention.ENTRIES, 7, "s") is None
    of_originals = {**purge(1, 50), "class": "originals"}
    assert of((100, Kind.RECORD_PURGED, of_originals)).purge_of(Retention.PAYLOADS, 7, "s") is None
    assert known.purged_up_to(Retention.PAYLOADS) == 50
    assert known.purged_up_to(Retention.ENTRIES) == 0
    assert known.left_over(Retention.PAYLOADS) == {"kept"}


def test_what_was_passed_over_is_taken_by_name_later_and_nothing_that_came_after() -> None:
    known = of(
        (100, Kind.RECORD_PURGED, purge(1, 50, but=["kept"])),
        (200, Kind.RECORD_PURGED, purge(0, 0, only=["kept"])),
    )
    assert known.left_over(Retention.PAYLOADS) == set()
    assert known.purge_of(Retention.PAYLOADS, 7, "kept") is not None
    assert known.purge_of(Retention.PAYLOADS, 201, "kept") is None
    assert known.purged_up_to(Retention.PAYLOADS) == 50


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 120), st.sampled_from(["a", "b"]))
def test_looking_up_a_purge_finds_what_looking_at_each_finds(
    sizes: list[int], sequence: int, session: str
) -> None:
    entries, first = [], 1
    for number, size in enumerate(sizes):
        only = ["a"] if size % 4 == 0 else None
        but = ["b"] if size % 3 == 0 else None
        data = purge(0, 0, only=only) if only else purge(first, first + size - 1, but=but)
        first += 0 if only else size
        entries.append((1000 + number, Kind.RECORD_PURGED, data))
    known = of(*entries)
    expected = any(one.has(sequence, session) for one in known.purges)
    assert (known.purge_of(Retention.PAYLOADS, sequence, session) is not None) == expected


def test_entries_that_lost_their_bytes_are_counted_by_purges_of_entries_alone() -> None:
    of_entries = {**purge(1, 50), "class": "entries", "entries": 7}
    known = of(
        (100, Kind.RECORD_PURGED, purge(1, 50)),
        (101, Kind.RECORD_PURGED, of_entries),
        (102, Kind.RECORD_PURGED, {**of_entries, "first": 51, "last": 60, "entries": 2}),
    )
    assert known.emptied() == 9


def test_an_erasure_takes_what_came_before_it_and_ends_with_its_tombstone() -> None:
    known = of(
        (10, Kind.RECORD_ERASURE_ORDERED, {"subject": "p"}),
        (20, Kind.RECORD_ERASED, {"ordered": 10, "keys": ["k1"]}),
        (30, Kind.RECORD_ERASURE_ORDERED, {"subject": "p"}),
    )
    assert [erasure.done for erasure in known.erasures] == [20, None]
    assert known.erasure_of("p", 9) is known.erasures[0]
    assert known.erasure_of("p", 21) is known.erasures[1]
    assert known.erasure_of("p", 31) is None
    assert known.erasure_of("q", 9) is None
    assert known.destroyed("k1")
    assert not known.destroyed("k2")
    assert not known.destroyed(None)
    assert known.took_payloads(9, "s", "p")
    assert not known.took_payloads(9, "s", "")


def test_payloads_may_be_gone_up_to_the_end_of_an_erasure_and_rows_up_to_its_order() -> None:
    ordered = (10, Kind.RECORD_ERASURE_ORDERED, {"subject": "p", "also": ["o"], "keys": ["k1"]})
    known = of(ordered, (20, Kind.RECORD_ERASED, {"ordered": 10, "keys": ["k1"]}))
    for subject in ("p", "o"):
        assert [known.erasure_of(subject, number) is not None for number in (9, 10, 20, 21)] == [1, 1, 1, 0]
        assert [known.erased_rows(subject, number) is not None for number in (9, 10, 20)] == [1, 0, 0]
        assert [known.lost_with("k1", subject, number) for number in (9, 20, 21)] == [True, True, False]
    assert not known.lost_with("k1", "q", 9)
    assert not known.lost_with("k2", "p", 9)
    begun = of(ordered)
    assert begun.destroyed("k1")
    assert begun.lost_with("k1", "p", 99)
    assert [begun.erasure_of("p", number) is not None for number in (10, 11)] == [True, False]


def test_a_later_erasure_that_is_done_ends_those_that_were_ordered_before_of_the_same_person() -> None:
    orders = [
        (10, Kind.RECORD_ERASURE_ORDERED, {"subject": "p", "keys": ["k1"]}),
        (11, Kind.RECORD_ERASURE_ORDERED, {"subject": "q", "keys": ["k2"]}),
        (12, Kind.RECORD_ERASURE_ORDERED, {"subject": "p", "also": ["o"], "keys": ["k1", "k3"]}),
        (13, Kind.RECORD_ERASURE_ORDERED, {"subject": "p", "keys": ["k4"]}),
    ]
    known = of(*orders, (20, Kind.RECORD_ERASED, {"ordered": 12, "keys": ["k1", "k3"]}))
    assert [erasure.done for erasure in known.erasures] == [20, None, 20, None]
    again = known.followed_by([(30, 300, Kind.RECORD_ERASED.value, {"ordered": 12, "keys": []})])
    assert [erasure.done for erasure in again.erasures] == [20, None, 20, None]


def test_what_is_known_already_stays_as_it_was_when_more_is_read() -> None:
    placed = (1, Kind.RECORD_KEPT, {"keep": "k", "session": "s", "subject": None})
    ordered = (2, Kind.RECORD_ERASURE_ORDERED, {"subject": "p"})
    later = [
        (4, 40, Kind.RECORD_ERASED.value, {"ordered": 2, "keys": ["k1"]}),
        (5, 50, Kind.RECORD_KEEP_LIFTED.value, {"keep": "k"}),
        (6, 60, Kind.RECORD_PURGED.value, purge(1, 2)),
        (7, 70, Kind.RECORD_PURGED.value, purge(0, 0, only=["s", "t"])),
    ]
    by_name = (3, Kind.RECORD_PURGED, purge(0, 0, only=["r", "s"]))
    known = of(placed, ordered, by_name)
    more = known.followed_by(later)
    assert (known.last, more.last) == (3, 7)
    assert known == of(placed, ordered, by_name)
    assert more == of(placed, ordered, by_name, *((n, kind, data) for n, _, kind, data in later))
    # What one more tells of nothing is shared: a purge reads one more after each unit, and there may be many.
    assert more._later[Retention.PAYLOADS, "r"] is known._later[Retention.PAYLOADS, "r"]


def test_a_legal_hold_is_in_force_until_it_is_lifted() -> None:
    placed = (1, Kind.RECORD_KEPT, {"keep": "k", "session": "s", "subject": None})
    of_all = (2, Kind.RECORD_KEPT, {"keep": "l", "session": None, "subject": "p"})
    known = of(placed, of_all)
    assert known.keeps["k"] == Keep("k", 1, 10, "s", None)
    assert known.is_kept("s", "q")
    assert known.is_kept("t", "p")
    assert not known.is_kept("t", "q")
    assert not known.is_kept(None, None)
    assert not of(placed, (3, Kind.RECORD_KEEP_LIFTED, {"keep": "k"})).is_kept("s", "q")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.RECORD_PURGED, {}),
        (Kind.RECORD_PURGED, purge(1, 2) | {"class": "all"}),
        (Kind.RECORD_KEPT, {"keep": "k"}),
        (Kind.RECORD_ERASURE_ORDERED, {}),
    ],
)
def test_an_entry_of_another_form_is_refused(kind: str, data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"another form|not a valid"):
        of((1, kind, data))


def test_a_vote_names_its_voter_and_its_reason_is_the_callers() -> None:
    assert is_about_another("hold.voted", "voter")
    assert not is_about_another("hold.voted", "reason")
