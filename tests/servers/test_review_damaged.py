"""What reviewers see beside a hold that cannot be read: all the others, and its id."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.grant_review import draft as grantable
from tests.servers.grant_review import serving, wish
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST, draft
from tests.servers.review_people import SECURITY
from tests.servers.stored_review import as_, served

from authz_api.v1 import grants_pb2, holds_pb2
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.stored_holds import HoldLimits


@pytest.fixture
def api(thread: LoopThread, tmp_path: Path) -> Iterator[HoldServiceStub]:
    """hld_0, hld_1 and hld_2 wait; the first of them is damaged."""
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        for number in range(3):
            thread.run(store.open_hold(draft(number), HoldLimits()))
        spoil(tmp_path, "detail = '{'")
        yield HoldServiceStub(channel)


def spoil(folder: Path, values: str) -> None:
    with sqlite3.connect(folder / "authz.db", timeout=10) as database:
        assert database.execute(f"UPDATE holds SET {values} WHERE id = 'hld_0'").rowcount == 1


def test_a_list_has_the_others_and_names_it(api: HoldServiceStub) -> None:
    listed = api.ListHolds(holds_pb2.ListHoldsRequest(), metadata=as_("rita"))
    assert ([hold.id for hold in listed.holds], list(listed.damaged)) == (["hld_2", "hld_1"], ["hld_0"])
    first = api.ListHolds(holds_pb2.ListHoldsRequest(id_prefix="hld_1"), metadata=as_("rita"))
    assert list(first.damaged) == []


ALTERED: dict[str, Any] = {
    "findings": {"EMAIL_ADDRESS": "x"},
    "model": 5,
    "rule": None,
    "reason": ["x"],
    "source": 5,
    "approvals": [{"name": "one", "snapshot": {}, "stages": [["true", 1, 1e300]]}],
    "answer": {"status": -1, "headers": {}, "masked": {}},
}


@pytest.mark.parametrize("member", ALTERED)
def test_so_it_does_beside_one_with_a_value_of_another_type(
    api: HoldServiceStub, tmp_path: Path, member: str
) -> None:
    with sqlite3.connect(tmp_path / "authz.db", timeout=10) as database:
        (detail,) = database.execute("SELECT detail FROM holds WHERE id = 'hld_1'").fetchone()
        altered = json.dumps(json.loads(detail) | {member: ALTERED[member]})
        database.execute("UPDATE holds SET detail = ? WHERE id = 'hld_0'", (altered,))
    listed = api.ListHolds(holds_pb2.ListHoldsRequest(), metadata=as_("rita"))
    assert ([hold.id for hold in listed.holds], list(listed.damaged)) == (["hld_2", "hld_1"], ["hld_0"])
    watching = iter(api.WatchHolds(holds_pb2.WatchHoldsRequest(), metadata=as_("rita")))
    assert [next(watching).hold.id for _ in range(2)] == ["hld_2", "hld_1"]
    assert list(next(watching).damaged) == ["hld_0"]


def test_whoever_asks_for_it_is_told_that_it_is_damaged(api: HoldServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        api.GetHold(holds_pb2.GetHoldRequest(id="hld_0"), metadata=as_("rita"))
    assert "hld_0 is damaged" in str(refused.value)


def test_another_of_the_same_caller_is_shown_and_what_is_beside_it_is_partial(
    api: HoldServiceStub, tmp_path: Path
) -> None:
    spoil(tmp_path, "state = 'released'")
    shown = api.GetHold(holds_pb2.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    assert (shown.hold.id, shown.context.is_partial) == ("hld_1", True)


def test_a_vote_on_many_counts_for_the_others(api: HoldServiceStub) -> None:
    names = [holds_pb2.Shown(id=f"hld_{number}", digest=DIGEST) for number in range(2)]
    request = holds_pb2.DecideHoldsRequest(holds=names, verdict=holds_pb2.VERDICT_APPROVE)
    decided = api.DecideHolds(request, metadata=as_("rita")).outcomes
    assert [(outcome.id, outcome.code) for outcome in decided] == [("hld_0", "record_damaged"), ("hld_1", "")]
    assert decided[1].hold.state == holds_pb2.HOLD_STATE_APPROVED


def test_a_watch_names_it_with_the_snapshot_and_when_it_changes(api: HoldServiceStub, tmp_path: Path) -> None:
    watching = iter(api.WatchHolds(holds_pb2.WatchHoldsRequest(), metadata=as_("rita")))
    seen = []
    while not (told := next(watching)).HasField("snapshot_done"):
        seen.append(told.hold.id)
    assert (seen, list(told.damaged)) == (["hld_2", "hld_1"], ["hld_0"])
    spoil(tmp_path, "changed = (SELECT size + 1 FROM head)")  # as if the next entry were about it
    api.CommentHold(holds_pb2.CommentHoldRequest(id="hld_1", text="Who is that?"), metadata=as_("rita"))
    changed = next(told for told in watching if told.damaged)
    assert (changed.HasField("bookmark"), list(changed.damaged)) == (True, ["hld_0"])


def test_a_grant_that_was_made_from_it_is_named_beside_the_others(thread: LoopThread, tmp_path: Path) -> None:
    with serving(thread, tmp_path, [SECURITY]) as (store, api):
        for number in range(2):
            thread.run(store.open_hold(grantable(number), HoldLimits()))
        lost, kept = [api.CreateGrant(wish(hold=f"hld_{n}"), metadata=as_("rita")).grant.id for n in range(2)]
        spoil(tmp_path, "detail = '{'")
        listed = api.ListGrants(grants_pb2.ListGrantsRequest(), metadata=as_("rita"))
        assert ([grant.id for grant in listed.grants], list(listed.damaged)) == ([kept], [lost])
