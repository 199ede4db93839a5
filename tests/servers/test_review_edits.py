"""What an edit would change is told before it is made, and what it changed afterwards."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.previewed_edits import Edits
from tests.servers.review_drafts import DIGEST, draft
from tests.servers.review_people import PEOPLE
from tests.servers.stored_review import as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.stored_holds import Hold, HoldLimits
from authz_service.servers import review_changes, review_holds
from authz_service.servers.review_changes import MOST_VALUES, TOO_LARGE, changes_in, edits_of, leave_out


@dataclass
class Desk:
    thread: LoopThread
    store: Any
    api: HoldServiceStub

    def preview(self, hold: str = "hld_0", *, person: str = "rita", digest: str = DIGEST) -> Any:
        edit = pb.EditHoldRequest(id=hold, digest=digest, body=b"new")
        return self.api.PreviewEdit(edit, metadata=as_(person))

    def refusal(self, **asked: Any) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            self.preview(**asked)
        metadata: Any = caught.value.trailing_metadata()
        return str(dict(metadata)["authz-code"])

    def hold(self) -> Hold:
        found: Hold = self.thread.run(self.store.hold("hld_0"))
        return found


@pytest.fixture
def desk(thread: LoopThread, tmp_path: Path) -> Iterator[Desk]:
    edits = Edits()
    with (
        served(thread, tmp_path, reviser=edits) as (store, address),
        grpc.insecure_channel(address) as channel,
    ):
        edits.store = store
        thread.run(store.open_hold(draft(0), HoldLimits()))
        yield Desk(thread, store, HoldServiceStub(channel))


def told(changes: Any) -> list[tuple[str, str | None, str | None]]:
    def said(change: Any, name: str) -> str | None:
        value = getattr(change, name)
        return (value.text or value.json) if change.HasField(name) else None

    return [(change.path, said(change, "before"), said(change, "after")) for change in changes]


EXPECTED = [
    ("/messages/0/a~1b", "x", "y"),
    ("/n", "null", '{"a":[1]}'),
    ("/seed", None, "7"),
]


def test_a_preview_says_what_would_wait_and_changes_nothing_but_who_has_read_it(desk: Desk) -> None:
    before = desk.hold()
    preview = desk.preview()
    assert (preview.forward, preview.digest) == (b"new", hashlib.sha256(b"new").hexdigest())
    assert told(preview.changes) == EXPECTED
    after = desk.hold()
    assert (after.version, after.digest, after.acts) == (before.version, before.digest, before.acts)
    kinds = [entry.kind for entry in desk.thread.run(desk.store.entries(before.session))]
    assert kinds.count("session.read") == 1
    assert "hold.edited" not in kinds


def test_nobody_previews_what_they_may_not_edit(desk: Desk) -> None:
    own = replace(draft(1), caller=PEOPLE["rita"], entries=())
    desk.thread.run(desk.store.open_hold(own, HoldLimits()))
    assert desk.refusal(hold="hld_1") == "own_request"
    assert desk.refusal(person="ada") == "no_stage"
    assert desk.refusal(digest="0" * 64) == "digest_changed"
    reject = pb.RejectHoldRequest(id="hld_0", digest=DIGEST, reason="no")
    desk.api.RejectHold(reject, metadata=as_("rita"))
    assert desk.refusal() == "hold_rejected"


def test_what_was_edited_is_told_to_the_editor_and_to_whoever_looks_at_it_then(desk: Desk) -> None:
    edit = pb.EditHoldRequest(id="hld_0", digest=DIGEST, body=b"new", idempotency_key="k")
    first = desk.api.EditHold(edit, metadata=as_("rita"))
    assert told(first.edit.changes) == EXPECTED
    assert told(desk.api.EditHold(edit, metadata=as_("rita")).edit.changes) == EXPECTED
    (shown,) = desk.api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("rob")).edits
    assert (shown.act, told(shown.changes), shown.missing) == (first.edit.act, EXPECTED, "")
    assert [act.id for act in desk.hold().acts] == [shown.act]


def test_an_edit_that_is_sent_again_is_told_as_it_was_whoever_has_edited_since(desk: Desk) -> None:
    edit = pb.EditHoldRequest(id="hld_0", digest=DIGEST, body=b"new", idempotency_key="k")
    first = desk.api.EditHold(edit, metadata=as_("rita"))
    later = pb.EditHoldRequest(id="hld_0", digest=first.hold.digest, body=b"newer")
    others = desk.api.EditHold(later, metadata=as_("rob"))
    again = desk.api.EditHold(edit, metadata=as_("rita"))
    assert [act.id for act in desk.hold().acts] == [first.edit.act, others.edit.act]
    assert (again.edit, again.hold.digest) == (first.edit, others.hold.digest)


def test_of_many_that_are_decided_at_once_one_that_was_edited_since_they_were_listed_is_refused(
    desk: Desk,
) -> None:
    desk.thread.run(desk.store.open_hold(draft(1), HoldLimits()))

    def listed() -> dict[str, pb.Shown]:
        page = desk.api.ListHolds(pb.ListHoldsRequest(), metadata=as_("rita")).holds
        return {hold.id: pb.Shown(id=hold.id, digest=hold.digest) for hold in page}

    def decided(shown: dict[str, pb.Shown]) -> list[tuple[str, str, int]]:
        many = pb.DecideHoldsRequest(holds=shown.values(), verdict=pb.VERDICT_APPROVE)
        outcomes = desk.api.DecideHolds(many, metadata=as_("rita")).outcomes
        return sorted((outcome.id, outcome.code, outcome.hold.state) for outcome in outcomes)

    shown = listed()
    edit = pb.EditHoldRequest(id="hld_0", digest=DIGEST, body=b"new")
    desk.api.EditHold(edit, metadata=as_("rob"))
    assert decided(shown) == [("hld_0", "digest_changed", 0), ("hld_1", "", pb.HOLD_STATE_APPROVED)]
    assert desk.hold().state == "pending"
    assert not desk.hold().votes
    left = {"hld_0": listed()["hld_0"]}
    assert decided(left) == [("hld_0", "", pb.HOLD_STATE_APPROVED)]


def test_of_an_answer_the_name_of_the_text_is_the_place_and_what_is_not_there_is_absent() -> None:
    recorded = [{"path": ["choices/0/content"], "before": "a", "after": None}]
    changes = changes_in(json.dumps(recorded).encode(), is_answer=True)
    assert told(changes) == [("choices/0/content", "a", None)]
    edits = [pb.Edit(act="a", changes=changes)]
    leave_out(edits)
    assert (len(edits[0].changes), edits[0].missing) == (0, TOO_LARGE)


def test_changes_on_record_that_are_very_many_are_not_read_and_the_others_are() -> None:
    recorded: dict[str, bytes | str]
    recorded = {"large": b"[%b{}]" % (b"{}," * MOST_VALUES), "gone": "erased", "small": b'[{"path":["n"]}]'}
    edits = edits_of(recorded, is_answer=False)
    assert [(edit.act, len(edit.changes), edit.missing) for edit in edits] == [
        ("large", 0, TOO_LARGE),
        ("gone", 0, "erased"),
        ("small", 1, ""),
    ]


def test_of_many_large_edits_the_latest_are_read_and_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(review_changes, "MOST_VALUES", 20)
    change = b'[{"path":["n"],"before":[%b0]}]' % (b"0," * 4)  # 8 values
    edits = edits_of({f"e{n}": change for n in range(4)} | {"gone": "erased"}, is_answer=False)
    told = [(edit.act, len(edit.changes), edit.missing) for edit in edits]
    assert told == [
        ("e0", 0, TOO_LARGE),
        ("e1", 0, TOO_LARGE),
        ("e2", 1, ""),
        ("e3", 1, ""),
        ("gone", 0, "erased"),
    ]


def test_changes_are_never_read_on_the_event_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def thread_of_the_loop() -> int:
        return threading.get_ident()

    read_by: list[int] = []

    def watched(read: Any) -> Any:
        def reading(*asked: Any, **named: Any) -> Any:
            read_by.append(threading.get_ident())
            return read(*asked, **named)

        return reading

    for name, read in (("changes_in", changes_in), ("edits_of", edits_of)):
        monkeypatch.setattr(review_holds, name, watched(read))
    desk.preview()
    edit = pb.EditHoldRequest(id="hld_0", digest=DIGEST, body=b"new")
    desk.api.EditHold(edit, metadata=as_("rob"))
    desk.api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("rob"))
    assert len(read_by) == 3
    assert desk.thread.run(thread_of_the_loop()) not in read_by


def test_numbers_are_told_as_they_are_on_record() -> None:
    recorded = (
        b'[{"path":["x",0],"before":1.2345678901234567890,"after":{"n":[123456789012345678901,1e400]}}]'
    )
    expected = ("/x/0", "1.2345678901234567890", '{"n":[123456789012345678901,1e400]}')
    assert told(changes_in(recorded, is_answer=False)) == [expected]
