"""The review API over the real store, on SQLite."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST, draft
from tests.servers.review_made import BODY
from tests.servers.stored_review import OnceOnly, as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1 import sessions_pb2
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.sessions import Entry
from authz_service.core.stored_holds import HoldLimits
from authz_service.servers.review_messages import LARGEST_SHOWN, entry_message
from authz_service.store.sql_store import SqlStore


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


@pytest.mark.parametrize("verb", ["edit", "respond"])
def test_an_edit_or_a_response_that_is_sent_again_is_the_first_one(
    thread: LoopThread, tmp_path: Path, verb: str
) -> None:
    def revise(key: str, text: str = "new", reason: str = "", as_who: str = "rita") -> pb.Hold:
        if verb == "edit":
            edit = pb.EditHoldRequest(
                id="hld_0", digest=DIGEST, body=text.encode(), reason=reason, idempotency_key=key
            )
            edited: pb.Hold = api.EditHold(edit, metadata=as_(as_who)).hold
            return edited
        respond = pb.RespondHoldRequest(
            id="hld_0", digest=DIGEST, text=text, reason=reason, idempotency_key=key
        )
        responded: pb.Hold = api.RespondHold(respond, metadata=as_(as_who)).hold
        return responded

    def refusal(*arguments: str) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            revise(*arguments)
        metadata: Any = caught.value.trailing_metadata()
        return str(dict(metadata)["authz-code"])

    with (
        served(thread, tmp_path, reviser=OnceOnly()) as (store, address),
        grpc.insecure_channel(address) as channel,
    ):
        api = HoldServiceStub(channel)
        thread.run(store.open_hold(draft(0), HoldLimits()))
        first = revise("k")
        again = revise("k")
        assert (again.digest, again.forward, again.version) == (first.digest, first.forward, first.version)
        assert len(again.acts) == 1
        assert refusal("k", "other") == "idempotency_key_reused"
        assert refusal("k", "new", "because") == "idempotency_key_reused"
        assert refusal("another") == "was_revised"
        assert refusal("k", "new", "", "rob") == "was_revised"
        api.ApproveHold(pb.ApproveHoldRequest(id="hld_0", digest=first.digest), metadata=as_("rob"))
        assert revise("k").state == pb.HOLD_STATE_APPROVED


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


LARGEST = 64 * 1024 * 1024


@pytest.mark.parametrize(("size", "is_shown"), [(50_000_000, True), (LARGEST - 1024, False)])
def test_what_is_too_large_for_a_message_is_said_and_the_rest_of_the_session_is_shown(
    thread: LoopThread, tmp_path: Path, size: int, is_shown: bool
) -> None:
    large = b"x" * size
    drafts = [
        EntryDraft(Kind.REQUEST_RECEIVED, "ses_1", {"method": "POST"}),
        EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {}, {"body": large, "z": b"small"}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {}, {"body": b"data: 1\n\n"}),
    ]

    async def record(store: SqlStore) -> None:
        await store.append(*drafts)

    limit = (("grpc.max_receive_message_length", LARGEST),)
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address, limit) as channel:
        thread.run(record(store))
        api = SessionServiceStub(channel)
        request = sessions_pb2.GetSessionRequest(id="ses_1")
        parts = list(api.GetSession(request, metadata=as_("ada"), timeout=60))
        tail = sessions_pb2.TailSessionsRequest(session="ses_1", cursor="0")
        followed: list[sessions_pb2.Entry] = []
        for message in api.TailSessions(tail, metadata=as_("ada"), timeout=60):
            followed += message.entries
            if len(followed) >= len(drafts):
                break
    for entries in ([entry for part in parts for entry in part.entries], followed):
        shown = {p.name: p.body for p in entries[1].payloads}
        why = {p.name: p.why for p in entries[1].missing}
        assert shown == {"z": b"small"} | ({"body": large} if is_shown else {})
        told = f"too large to be shown ({size:,} bytes); authz audit export has it"
        assert why == ({} if is_shown else {"body": told})
        assert [p.body for p in entries[2].payloads] == [b"data: 1\n\n"]


def test_a_hold_that_no_message_takes_is_refused_by_name_and_can_be_rejected(
    thread: LoopThread, tmp_path: Path
) -> None:
    large = json.dumps({"model": "llama", "prompt": "x" * LARGEST}).encode()
    digest = hashlib.sha256(large).hexdigest()
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        thread.run(store.open_hold(replace(draft(0), forward=large, digest=digest), HoldLimits()))
        api = HoldServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("rita"), timeout=60)
        call: Any = error.value
        assert call.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert f"({len(large):,} bytes) is too large to be shown; it ends at its deadline" in call.details()
        assert ("authz-code", "hold_too_large") in call.trailing_metadata()
        (listed,) = api.ListHolds(pb.ListHoldsRequest(), metadata=as_("rita")).holds
        reject = pb.RejectHoldRequest(
            id="hld_0", digest=listed.digest, reason="too large", idempotency_key="k"
        )
        assert api.RejectHold(reject, metadata=as_("rita")).hold.state == pb.HOLD_STATE_REJECTED


def test_the_readings_of_several_sessions_are_one_commit_before_the_first_is_given(
    thread: LoopThread, tmp_path: Path
) -> None:
    async def record(store: SqlStore) -> None:
        for name in ("ses_1", "ses_2", "ses_3"):
            await store.append(
                EntryDraft(Kind.REQUEST_RECEIVED, name, {"method": "POST"}),
                EntryDraft(Kind.REQUEST_RELEASED, name, {}, {"body": name.encode()}),
            )

    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        thread.run(record(store))
        before = store.commits.units
        request = sessions_pb2.GetSessionsRequest(ids=["ses_3", "ses_1", "gone"])
        third, first = SessionServiceStub(channel).GetSessions(request, metadata=as_("ada"))
        assert store.commits.units == before + 1
        assert [third.entries[-1].sequence, first.entries[-1].sequence] == [7, 8]
    for whole, name in ((third, "ses_3"), (first, "ses_1")):
        assert whole.session.id == name
        assert whole.entries[1].payloads[0].body == name.encode()
        assert whole.entries[-1].kind == "session.read"


def test_entries_of_several_sessions_are_read_up_to_so_many_bytes_and_the_last_whole(
    thread: LoopThread, tmp_path: Path
) -> None:
    async def scenario(store: SqlStore) -> None:
        for name in ("a", "b", "c"):
            await store.append(
                EntryDraft(Kind.REQUEST_RECEIVED, name, {"method": "POST"}),
                EntryDraft(Kind.REQUEST_RELEASED, name, {}, {"body": b"x" * 1000}),
            )
        for most, count in ((1, 1), (1500, 2), (1_000_000, 3)):
            read = await store.some_entries(["a", "b", "c"], most=most)
            assert [[entry.session for entry in each] for each in read] == [[n, n] for n in "abc"[:count]]

    with served(thread, tmp_path) as (store, _):
        thread.run(scenario(store))


def test_what_is_too_large_and_from_before_masking_is_not_said_to_be_in_an_export() -> None:
    large = {"body": b"x" * (LARGEST_SHOWN + 1), "original": b"y" * (LARGEST_SHOWN + 1)}
    entry = Entry(1, "answer.released", 0.0, "ses_1", {}, large, b"{}")
    why = {one.name: one.why for one in entry_message(entry, before_masking=True).missing}
    assert why["body"].endswith("authz audit export has it")
    assert why["original"].endswith("the store alone has it: no export has values before masking")
