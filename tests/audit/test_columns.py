"""A session's columns follow from its entries, one by one or merged."""

from __future__ import annotations

import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.columns import NEW_SESSION, Change, Value, applied, change, clean, merged
from authz_service.audit.draft import EntryDraft, Kind

CALLER = json.dumps(
    {"issuer": "i", "subject": "alice", "groups": ["a"], "groups_complete": True, "person": "p"}
).encode()
RECEIVED = EntryDraft(
    Kind.REQUEST_RECEIVED,
    "s",
    {"api": "openai", "method": "POST", "path": "/v1/chat/completions", "caller": "pseudonym"},
    {"caller": CALLER},
)


def columns(*drafts: EntryDraft) -> dict[str, Value]:
    row: dict[str, Value] = dict(NEW_SESSION)
    for at, draft in enumerate(drafts, 1):
        what = change(draft, at=at)
        if what is not None:
            row = applied(row, what)
    return row


def entry(kind: Kind, **data: str | int | None) -> EntryDraft:
    return EntryDraft(kind, "s", {**data})


def test_a_session_begins_open_with_its_caller() -> None:
    row = columns(RECEIVED)
    assert (row["status"], row["started_at"], row["ended_at"]) == ("open", 1, None)
    assert (row["caller"], row["subject"], row["person"]) == ("pseudonym", "alice", "p")
    assert row["caller_detail"] == CALLER.decode()
    assert (row["api"], row["method"], row["path"]) == ("openai", "POST", "/v1/chat/completions")


def test_a_session_is_held_released_and_ended() -> None:
    held = [
        RECEIVED,
        entry(Kind.REQUEST_DECIDED, effect="hold", rule="contractors", model="llama"),
        entry(Kind.HOLD_OPENED, hold="h"),
    ]
    row = columns(*held)
    assert (row["status"], row["hold"], row["decision"], row["rule"]) == ("held", "h", "hold", "contractors")
    row = columns(*held, entry(Kind.REQUEST_RELEASED))
    assert (row["status"], row["model"]) == ("released", "llama")
    end = entry(Kind.EXCHANGE_ENDED, outcome="completed", prompt_tokens=3, completion_tokens=4)
    row = columns(*held, entry(Kind.REQUEST_RELEASED), end)
    assert (row["status"], row["ended_at"]) == ("completed", 5)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (3, 4)


def test_a_request_that_was_refused_unread_was_denied_by_its_code() -> None:
    row = columns(RECEIVED, entry(Kind.REQUEST_REFUSED, code="not_json", status=400))
    assert (row["status"], row["decision"], row["rule"]) == ("refused", "deny", "not_json")


def test_a_refusal_after_a_decision_leaves_the_decision() -> None:
    decided = entry(Kind.REQUEST_DECIDED, effect="hold", rule="contractors", model="m")
    row = columns(RECEIVED, decided, entry(Kind.REQUEST_REFUSED, code="approval_pending", status=409))
    assert (row["status"], row["decision"], row["rule"]) == ("refused", "hold", "contractors")


def test_a_session_that_recovery_found_is_interrupted() -> None:
    row = columns(RECEIVED, entry(Kind.EXCHANGE_RECOVERED))
    assert (row["status"], row["ended_at"]) == ("interrupted", 2)


@pytest.mark.parametrize(
    "kind", [Kind.HOLD_VOTED, Kind.HOLD_EXPIRED, Kind.ANSWER_RELEASED, Kind.SESSION_READ]
)
def test_other_entries_change_no_column(kind: Kind) -> None:
    assert change(entry(kind), at=1) is None


def test_a_column_holds_no_nul_and_no_more_than_an_index_takes() -> None:
    assert clean("a\x00b") == "a\ufffdb"
    assert clean("a\ud800") == "a?"
    assert len(clean("x" * 100_000)) == 256


NAMES = st.sampled_from(["decision", "rule", "status", "hold"])
VALUES = st.one_of(st.none(), st.sampled_from(["", "x", "y"]))
CHANGES = st.builds(Change, st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))


OTHERS = st.dictionaries(st.sampled_from(["decision", "rule", "hold"]), VALUES)
STATUSES = st.sampled_from(["open", "released", "killing", "killed"])
MOVED = st.sampled_from(["open", "released"])
ENDS = st.builds(lambda put, fill, to: Change({**put, "status": to}, fill), OTHERS, OTHERS, STATUSES)
MOVES = st.builds(lambda put, fill, to: Change(put, fill, moves_to=to), OTHERS, OTHERS, MOVED)


@given(OTHERS, STATUSES, st.lists(ENDS | MOVES | st.builds(Change, OTHERS, OTHERS), min_size=1, max_size=5))
def test_merged_changes_move_a_status_as_one_by_one(
    row: dict[str, Value], status: str, changes: list[Change]
) -> None:
    row = {**row, "status": status}
    one_by_one = functools.reduce(applied, changes, row)
    assert applied(row, functools.reduce(merged, changes)) == one_by_one


def test_a_release_leaves_a_session_that_is_to_end_so_and_its_end_does_not() -> None:
    killed = [RECEIVED, entry(Kind.SESSION_KILLED), entry(Kind.REQUEST_DECIDED, effect="allow")]
    assert columns(*killed, entry(Kind.REQUEST_RELEASED))["status"] == "killing"
    ended = entry(Kind.EXCHANGE_ENDED, outcome="killed")
    assert columns(*killed, entry(Kind.REQUEST_RELEASED), ended)["status"] == "killed"


@given(st.dictionaries(NAMES, VALUES), st.lists(CHANGES, min_size=1, max_size=5))
def test_merged_changes_do_what_they_do_one_by_one(row: dict[str, Value], changes: list[Change]) -> None:
    one_by_one = functools.reduce(applied, changes, row)
    assert applied(row, functools.reduce(merged, changes)) == one_by_one
