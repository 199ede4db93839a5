"""A grant that cannot be read whole is named for all, shown to who sees all, and ended by operators."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.servers.grant_review import as_, draft, refused, serving, wish
from tests.servers.loop_thread import LoopThread
from tests.servers.review_people import SECURITY

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceStub
from authz_service.core.openings import Granted, Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.store.sql_store import SqlStore

LOST = {"altered": "UPDATE holds SET detail = '[]'", "gone": "DELETE FROM holds"}
Served = tuple[SqlStore, GrantServiceStub, str]


@pytest.fixture
def served(thread: LoopThread, tmp_path: Path) -> Iterator[Served]:
    """With a grant of rita's that has let one request through."""
    with serving(thread, tmp_path, [SECURITY]) as (store, api):
        thread.run(store.open_hold(draft(0), HoldLimits()))
        grant = api.CreateGrant(wish(uses=5), metadata=as_("rita")).grant
        assert not grant.is_damaged
        assert thread.run(store.open_hold(draft(1), HoldLimits())) == Granted(grant.id)
        yield store, api, grant.id


def spoil(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "authz.db", timeout=10) as database:
        assert database.execute(statement).rowcount == 1


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_one_whose_hold_is_lost_is_shown_to_who_sees_all_and_named_for_all(
    served: Served, tmp_path: Path, thread: LoopThread, lost: str
) -> None:
    store, api, grant = served
    spoil(tmp_path, lost)
    assert isinstance(thread.run(store.open_hold(draft(2), HoldLimits())), Opened)
    for name in ("ada", "olga"):
        listed = api.ListGrants(pb.ListGrantsRequest(), metadata=as_(name))
        assert [(each.id, each.is_damaged) for each in listed.grants] == [(grant, True)]
        assert list(listed.damaged) == [grant]
        found = api.GetGrant(pb.GetGrantRequest(id=grant), metadata=as_(name)).grant
        assert (found.is_damaged, found.used, found.uses, found.subject) == (True, 1, 5, "alice")
    for name in ("rita", "lea"):
        listed = api.ListGrants(pb.ListGrantsRequest(), metadata=as_(name))
        assert (list(listed.grants), list(listed.damaged)) == ([], [grant])
        status, code = refused(api.GetGrant, pb.GetGrantRequest(id=grant), name)
        assert (status, code) == (grpc.StatusCode.UNAVAILABLE, "record_damaged")


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_operators_end_it_with_what_runs_and_nobody_votes_for_it(
    served: Served, tmp_path: Path, lost: str
) -> None:
    _, api, grant = served
    digest = api.GetGrant(pb.GetGrantRequest(id=grant), metadata=as_("rita")).grant.digest
    spoil(tmp_path, lost)
    request = pb.RevokeGrantRequest(id=grant, kill=True, reason="over", idempotency_key="k")
    with pytest.raises(grpc.RpcError, match="operators can end it"):
        api.RevokeGrant(request, metadata=as_("rita"))
    vote = pb.ApproveGrantRequest(id=grant, digest=digest)
    for name in ("rob", "ada", "olga"):
        assert refused(api.ApproveGrant, vote, name)[1] == "record_damaged"
    for _ in range(2):
        end = api.RevokeGrant(request, metadata=as_("olga"))
        assert (end.grant.state, end.grant.is_damaged) == (pb.GRANT_STATE_REVOKED, True)
        assert (end.grant.revoked_by, list(end.sessions)) == ("olga", ["ses_1"])
    assert refused(api.RevokeGrant, pb.RevokeGrantRequest(id=grant), "olga")[1] == "grant_revoked"


def test_one_that_cannot_be_read_itself_is_ended_by_its_id(served: Served, tmp_path: Path) -> None:
    _, api, grant = served
    spoil(tmp_path, "UPDATE grants SET detail = '{'")
    assert list(api.ListGrants(pb.ListGrantsRequest(), metadata=as_("olga")).damaged) == [grant]
    request = pb.RevokeGrantRequest(id=grant, reason="over")
    assert refused(api.RevokeGrant, request, "rita")[1] == "record_damaged"
    end = api.RevokeGrant(request, metadata=as_("olga")).grant
    assert (end.id, end.state, end.is_damaged) == (grant, pb.GRANT_STATE_REVOKED, True)


def test_an_operator_ends_a_sound_one_as_ever_and_none_that_there_is_not(served: Served) -> None:
    _, api, grant = served
    nobody = pb.RevokeGrantRequest(id="grant_none")
    assert refused(api.RevokeGrant, nobody, "olga") == (grpc.StatusCode.NOT_FOUND, "grant_not_found")
    end = api.RevokeGrant(pb.RevokeGrantRequest(id=grant), metadata=as_("olga")).grant
    assert (end.state, end.is_damaged, end.revoked_by) == (pb.GRANT_STATE_REVOKED, False, "olga")
