"""The review API over the real store, on SQLite."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tests.servers.review_fakes import BODY, NO_REVISER, NOW, PEOPLE, SECURITY, GroupRoles, LoopThread, People

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1 import sessions_pb2
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.ports import HoldDraft, HoldLimits
from authz_service.masking.seams import Scanner
from authz_service.servers.review import ReviewServer
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore

DIGEST = hashlib.sha256(BODY).hexdigest()


@contextmanager
def served(
    thread: LoopThread, folder: Path, scanner: Callable[[], Scanner] | None = None
) -> Iterator[tuple[SqlStore, str]]:
    """A store in a file, and the review API over it."""

    async def opened() -> SqlStore:
        return await open_store(
            f"sqlite:///{folder / 'authz.db'}",
            instance="test",
            pseudonym=lambda identity: hashlib.sha256(repr(identity).encode()).hexdigest(),
            clock=lambda: NOW,
        )

    folder.chmod(0o700)
    store = thread.run(opened())
    review = ReviewServer(
        store,
        People(),
        GroupRoles(),
        limits=HoldLimits,
        reviser=NO_REVISER,
        clock=lambda: NOW,
        poll=0.01,
        scanner=scanner,
    )
    serving = review.serve(f"unix:{folder / 'review.sock'}")
    try:
        yield store, thread.run(serving.__aenter__())
    finally:
        thread.run(serving.__aexit__(None, None, None))
        thread.run(store.close())


def draft(number: int) -> HoldDraft:
    """A request of alice's that waits."""
    session, alice = f"ses_{number}", PEOPLE["alice"]
    received = EntryDraft(
        Kind.REQUEST_RECEIVED,
        session,
        {"api": "openai", "method": "POST", "path": "/v1/chat/completions", "caller": "p"},
        {"caller": caller_payload(alice)},
    )
    return HoldDraft(
        id=f"hld_{number}",
        session=session,
        caller=alice,
        fingerprint=hashlib.sha256(str(number).encode()).hexdigest(),
        changes="",
        digest=DIGEST,
        forward=BODY,
        api="openai",
        operation="chat.completions",
        model="llama",
        rule="contractors",
        reason="",
        policy="p" * 64,
        approvals=(SECURITY,),
        entries=(received,),
    )


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-{name}"),)


def test_holds_are_listed_watched_and_decided_in_the_real_store(thread: LoopThread, tmp_path: Path) -> None:
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        api = HoldServiceStub(channel)
        for number in range(3):
            thread.run(store.open_hold(draft(number), HoldLimits()))
        first = api.ListHolds(pb.ListHoldsRequest(page_size=2), metadata=as_("rita"))
        second = api.ListHolds(
            pb.ListHoldsRequest(page_size=2, page_token=first.next_page_token), metadata=as_("rita")
        )
        assert [h.id for h in (*first.holds, *second.holds)] == ["hld_2", "hld_1", "hld_0"]
        watching = iter(api.WatchHolds(pb.WatchHoldsRequest(), metadata=as_("rita")))
        while not next(watching).HasField("snapshot_done"):
            pass
        voted = api.ApproveHold(
            pb.ApproveHoldRequest(id="hld_1", digest=DIGEST, idempotency_key="k"), metadata=as_("rita")
        )
        assert voted.hold.state == pb.HOLD_STATE_APPROVED
        change = next(watching)
        assert (change.hold.id, change.hold.state) == ("hld_1", pb.HOLD_STATE_APPROVED)
        shown = api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita")).hold
        assert (shown.forward, [vote.name for vote in shown.votes]) == (BODY, ["rita"])


def test_a_refusal_of_the_store_reaches_the_reviewer_with_its_code(
    thread: LoopThread, tmp_path: Path
) -> None:
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        api = HoldServiceStub(channel)
        thread.run(store.open_hold(draft(0), HoldLimits()))
        no = pb.RejectHoldRequest(id="hld_0", digest=DIGEST, reason="No.")
        api.RejectHold(no, metadata=as_("rita"))
        with pytest.raises(grpc.RpcError) as error:
            api.RejectHold(no, metadata=as_("rob"))
        call: object = error.value
        assert isinstance(call, grpc.Call)
        assert call.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert ("authz-code", "hold_rejected") in list(call.trailing_metadata() or ())


def test_a_session_is_read_from_the_real_record_and_the_reading_is_in_it(
    thread: LoopThread, tmp_path: Path
) -> None:
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        api = SessionServiceStub(channel)
        thread.run(store.open_hold(draft(0), HoldLimits()))
        (listed,) = api.ListSessions(sessions_pb2.ListSessionsRequest(), metadata=as_("ada")).sessions
        assert (listed.id, listed.caller.subject, listed.hold) == ("ses_0", "alice", "hld_0")
        request = sessions_pb2.GetSessionRequest(id="ses_0")
        kinds = [e.kind for m in api.GetSession(request, metadata=as_("ada")) for e in m.entries]
        assert (kinds[0], kinds[-1]) == ("request.received", "session.read")


@pytest.mark.parametrize("prefix", ["hld_1", "hld_12"])
def test_a_list_by_the_beginning_of_an_id_has_no_others(
    thread: LoopThread, tmp_path: Path, prefix: str
) -> None:
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        for number in (1, 12, 2):
            thread.run(store.open_hold(draft(number), HoldLimits()))
        request = pb.ListHoldsRequest(id_prefix=prefix)
        found = HoldServiceStub(channel).ListHolds(request, metadata=as_("rita")).holds
        assert {hold.id for hold in found} == {f"hld_{n}" for n in (1, 12) if f"hld_{n}".startswith(prefix)}
