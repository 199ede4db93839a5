"""Refusals that come again are counted, to the last, by as much memory as there may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.refusals import Refusal
from authz_service.runtime import repeats
from authz_service.runtime.repeats import WINDOW, Repeats


def refusal(caller: str = "alice", limit: str = "caller.concurrent", **more: str) -> Refusal:
    told = {"key": "", "api": "openai_chat", "model": "llama", "code": "rate_limit_exceeded", **more}
    return Refusal(caller, limit=limit, **told)


def told(drafts: tuple[EntryDraft, ...]) -> list[tuple[str | None, object]]:
    assert {draft.kind for draft in drafts} <= {Kind.REQUEST_REFUSED_AGAIN}
    return [(draft.session, draft.data["count"]) for draft in drafts]


def test_the_first_goes_on_record_and_equal_ones_within_the_window_are_counted_with_it() -> None:
    counted = Repeats()
    assert counted.counted(refusal(), 0.0) is None
    assert counted.begin(refusal(), "ses_1", 0.0) == ()
    assert [counted.counted(refusal(), at) for at in (0.0, 30.0, WINDOW - 0.1)] == ["ses_1"] * 3
    assert counted.over(WINDOW - 0.1) == ()
    (draft,) = counted.over(WINDOW)
    assert (draft.session, dict(draft.data)) == (
        "ses_1",
        {"code": "rate_limit_exceeded", "count": 3, "limit": "caller.concurrent"},
    )
    assert counted.over(WINDOW * 9) == ()
    assert counted.counted(refusal(), WINDOW) is None


@pytest.mark.parametrize(
    "other",
    [
        refusal("bob"),
        refusal(limit="model.concurrent"),
        refusal(key="key_1"),
        refusal(model="other"),
        refusal(api="anthropic"),
        refusal(code="request_above_limit"),
        refusal(way="another path"),
    ],
)
def test_another_refusal_is_a_first_of_its_own(other: Refusal) -> None:
    counted = Repeats()
    counted.begin(refusal(), "ses_1", 0.0)
    assert counted.counted(other, 1.0) is None


def test_what_was_counted_alone_is_no_entry_and_after_the_window_there_is_a_new_first() -> None:
    counted = Repeats()
    counted.begin(refusal(), "ses_1", 0.0)
    assert counted.over(WINDOW) == ()
    counted.begin(refusal(), "ses_2", WINDOW)
    counted.counted(refusal(), WINDOW + 1)
    assert counted.counted(refusal(), 2 * WINDOW) is None
    assert told(counted.begin(refusal(), "ses_3", 2 * WINDOW)) == [("ses_2", 1)]


def test_of_several_first_ones_at_the_same_moment_one_counts() -> None:
    counted = Repeats()
    counted.begin(refusal(), "ses_1", 0.0)
    assert counted.begin(refusal(), "ses_2", 0.1) == ()
    assert counted.counted(refusal(), 1.0) == "ses_1"


def test_memory_is_bounded_and_what_makes_room_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST", 2)
    counted = Repeats()
    for number, caller in enumerate(("a", "b")):
        counted.begin(refusal(caller), f"ses_{caller}", float(number))
        counted.counted(refusal(caller), float(number))
    assert told(counted.begin(refusal("c"), "ses_c", 2.0)) == [("ses_a", 1)]
    assert counted.counted(refusal("a"), 3.0) is None
    assert counted.counted(refusal("b"), 3.0) == "ses_b"
    assert len(counted._known) == 2


Steps = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 40.0)), max_size=60)


@given(steps=Steps, look=st.integers(1, 5))
def test_every_refusal_is_on_record_once_or_counted_once(steps: list[tuple[str, float]], look: int) -> None:
    counted, now, recorded, written = Repeats(), 0.0, 0, list[EntryDraft]()
    for number, (caller, later) in enumerate(steps):
        now += later
        if counted.counted(refusal(caller), now) is None:
            recorded += 1
            written += counted.begin(refusal(caller), f"ses_{number}", now)
        if number % look == 0:
            written += counted.over(now)
    written += counted.over(float("inf"))
    assert recorded + sum(int(str(draft.data["count"])) for draft in written) == len(steps)
    assert len({draft.session for draft in written}) == len(written)
