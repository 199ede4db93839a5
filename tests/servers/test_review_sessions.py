"""Auditors read sessions, and their reading is recorded first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_session

from authz_api.v1 import sessions_pb2 as pb
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Unavailable
from authz_service.servers import review_sessions


@pytest.fixture
def review(thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    store = MemoryStore()
    store.past = {
        "ses_1": make_session("ses_1"),
        "ses_2": make_session("ses_2", caller=None, decision="deny", ended_at=None, prompt_tokens=None),
    }
    store.recorded = [
        EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {"model": "llama"}, {"body": b'{"a":1}'}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {"masked": {}}, {"body": b"data: 1\n\n"}),
    ]
    with running(thread, tmp_path, store) as review:
        yield review


@pytest.fixture
def api(review: Review) -> Iterator[SessionServiceStub]:
    with grpc.insecure_channel(review.address) as channel:
        yield SessionServiceStub(channel)


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-{name}"),)


def read(api: SessionServiceStub, name: str, session: str = "ses_1") -> list[pb.GetSessionResponse]:
    return list(api.GetSession(pb.GetSessionRequest(id=session), metadata=as_(name)))


def status(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    call: object = error.value
    assert isinstance(call, grpc.Call)
    return call.code()


def test_sessions_are_listed_newest_first_with_unknown_columns_absent(api: SessionServiceStub) -> None:
    newest, oldest = api.ListSessions(pb.ListSessionsRequest(), metadata=as_("ada")).sessions
    assert (newest.id, newest.HasField("caller"), newest.HasField("ended_at")) == ("ses_2", False, False)
    assert newest.HasField("prompt_tokens") is False
    assert (oldest.id, oldest.caller.subject, oldest.prompt_tokens) == ("ses_1", "alice", 3)


def test_filters_and_pages_work_on_sessions(api: SessionServiceStub) -> None:
    page = api.ListSessions(pb.ListSessionsRequest(page_size=1), metadata=as_("ada"))
    rest = api.ListSessions(
        pb.ListSessionsRequest(page_size=1, page_token=page.next_page_token), metadata=as_("ada")
    )
    denied = api.ListSessions(pb.ListSessionsRequest(decision="deny"), metadata=as_("ada"))
    assert [s.id for s in (*page.sessions, *rest.sessions)] == ["ses_2", "ses_1"]
    assert [s.id for s in denied.sessions] == ["ses_2"]


@pytest.mark.parametrize("name", ["rita", "bob"])
def test_only_auditors_read_sessions(review: Review, api: SessionServiceStub, name: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        api.ListSessions(pb.ListSessionsRequest(), metadata=as_(name))
    assert status(error) is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.RpcError) as error:
        read(api, name)
    assert status(error) is grpc.StatusCode.PERMISSION_DENIED
    assert [draft.kind for draft in review.store.recorded if draft.kind is Kind.SESSION_READ] == []


def test_a_session_is_given_with_its_entries_and_payloads(api: SessionServiceStub) -> None:
    (message,) = read(api, "ada")
    assert message.session.id == "ses_1"
    assert [(e.kind, e.data, [(p.name, p.body) for p in e.payloads]) for e in message.entries[:2]] == [
        ("request.released", '{"model": "llama"}', [("body", b'{"a":1}')]),
        ("answer.released", '{"masked": {}}', [("body", b"data: 1\n\n")]),
    ]


def test_who_reads_a_session_is_on_record_before_its_contents_are_given(
    review: Review, api: SessionServiceStub
) -> None:
    (message,) = read(api, "ada")
    assert message.entries[-1].kind == "session.read"
    draft = review.store.recorded[-1]
    assert (draft.kind, draft.session, dict(draft.data)) == (Kind.SESSION_READ, "ses_1", {})
    assert json.loads(draft.payloads["reader"])["subject"] == "ada"


def before_masking(api: SessionServiceStub, name: str, reason: str) -> pb.GetSessionResponse:
    request = pb.GetSessionRequest(id="ses_1", before_masking=True, reason=reason)
    (message,) = api.GetSession(request, metadata=as_(name))
    return message


def names(message: pb.GetSessionResponse | pb.TailSessionsResponse) -> set[str]:
    return {payload.name for entry in message.entries for payload in entry.payloads}


@pytest.fixture
def masked(review: Review) -> Review:
    payloads = {"body": b"[EMAIL_ADDRESS]", "original": b"joe@example.com"}
    review.store.recorded.append(EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {}, payloads))
    return review


def test_what_was_there_before_masking_is_read_with_a_reason_that_is_on_record_first(
    masked: Review, api: SessionServiceStub
) -> None:
    message = before_masking(api, "pia", "case 7")
    assert "original" in names(message)
    assert message.entries[-1].kind == "session.read", "before it was read"
    draft = masked.store.recorded[-1]
    assert (draft.kind, dict(draft.data)) == (Kind.SESSION_READ, {"before_masking": True})
    assert draft.payloads["reason"] == b"case 7"
    assert draft.subject == ("https://issuer.test", "pia")


def test_who_does_not_ask_for_it_is_not_given_it_whatever_their_role(
    masked: Review, api: SessionServiceStub
) -> None:
    for name in ("ada", "pia"):
        (message,) = read(api, name)
        assert names(message) == {"body", "reader"}
    tail = api.TailSessions(pb.TailSessionsRequest(session="ses_1", cursor="0"), metadata=as_("pia"))
    shown: set[str] = set()
    for told in tail:
        shown |= names(told)
        if "body" in shown:
            break
    assert "original" not in shown


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("ada", "case 7", grpc.StatusCode.PERMISSION_DENIED),
        ("ina", "case 7", grpc.StatusCode.PERMISSION_DENIED),
        ("pia", " ", grpc.StatusCode.INVALID_ARGUMENT),
        ("pia", "x" * 4097, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_without_the_role_or_a_reason_nothing_is_given_and_nothing_recorded(
    masked: Review, api: SessionServiceStub, name: str, reason: str, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        before_masking(api, name, reason)
    assert status(error) is code
    assert not [draft for draft in masked.store.recorded if draft.kind is Kind.SESSION_READ]


def test_what_cannot_be_recorded_is_not_given(thread: LoopThread, tmp_path: Path) -> None:
    class ReadOnly(MemoryStore):
        async def append(self, *drafts: EntryDraft) -> None:
            self.is_away = True
            await super().append(*drafts)

    store = ReadOnly()
    store.past = {"ses_1": make_session("ses_1")}
    with running(thread, tmp_path, store) as review, grpc.insecure_channel(review.address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            read(SessionServiceStub(channel), "ada")
        assert status(error) is grpc.StatusCode.UNAVAILABLE


def test_a_session_that_does_not_exist_is_not_found_and_not_recorded(
    review: Review, api: SessionServiceStub
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        read(api, "ada", "ses_none")
    assert status(error) is grpc.StatusCode.NOT_FOUND
    assert len(review.store.recorded) == 2


def test_a_long_session_comes_in_several_messages_and_whole(
    review: Review, api: SessionServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_sessions, "BATCH_BYTES", 100)
    pieces = [b"%03d" % number for number in range(300)]
    review.store.recorded = [EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {}, {"body": b}) for b in pieces]
    messages = read(api, "ada")
    assert len(messages) > 5
    assert [message.HasField("session") for message in messages] == [True] + [False] * (len(messages) - 1)
    entries = [entry for message in messages for entry in message.entries]
    assert [e.payloads[0].body for e in entries[:300]] == pieces


def read_some(api: SessionServiceStub, name: str, *ids: str, **more: Any) -> list[pb.GetSessionResponse]:
    return list(api.GetSessions(pb.GetSessionsRequest(ids=ids, **more), metadata=as_(name)))


def test_several_sessions_come_in_the_order_they_were_asked_for_without_those_that_are_not_there(
    api: SessionServiceStub,
) -> None:
    second, first = read_some(api, "ada", "ses_2", "ses_9", "ses_1")
    assert (second.session.id, first.session.id) == ("ses_2", "ses_1")
    assert [entry.kind for entry in first.entries] == ["request.released", "answer.released", "session.read"]
    assert read_some(api, "ada", "ses_9") == []


def test_a_large_session_among_several_is_given_whole_before_the_next(
    review: Review, api: SessionServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_sessions, "BATCH_BYTES", 1)
    monkeypatch.setattr(review_sessions, "READ_BYTES", 1)
    parts = read_some(api, "ada", "ses_1", "ses_2")
    begun = [part.session.id for part in parts if part.HasField("session")]
    assert begun == ["ses_1", "ses_2"]
    of_first = parts[: [part.session.id for part in parts].index("ses_2")]
    assert [entry.kind for part in of_first for entry in part.entries] == [
        *("request.released", "answer.released", "session.read")
    ]


@pytest.mark.parametrize("name", ["rita", "bob"])
def test_only_auditors_read_several_sessions(review: Review, api: SessionServiceStub, name: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        read_some(api, name, "ses_1")
    assert status(error) is grpc.StatusCode.PERMISSION_DENIED
    assert [draft.kind for draft in review.store.recorded if draft.kind is Kind.SESSION_READ] == []


def test_of_several_what_was_there_before_masking_is_read_by_the_same_rules(
    masked: Review, api: SessionServiceStub
) -> None:
    (plain,) = read_some(api, "pia", "ses_1")
    assert "original" not in names(plain)
    (message,) = read_some(api, "pia", "ses_1", before_masking=True, reason="case 7")
    assert "original" in names(message)
    draft = masked.store.recorded[-1]
    assert (dict(draft.data), draft.payloads["reason"]) == ({"before_masking": True}, b"case 7")
    for who, reason, code in (
        ("ada", "case 7", grpc.StatusCode.PERMISSION_DENIED),
        ("pia", "", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        count = len(masked.store.recorded)
        with pytest.raises(grpc.RpcError) as error:
            read_some(api, who, "ses_1", before_masking=True, reason=reason)
        assert status(error) is code
        assert len(masked.store.recorded) == count


@pytest.mark.parametrize("ids", [[], ["ses_1", "ses_1"], [f"ses_{number}" for number in range(101)]])
def test_a_list_of_none_of_one_twice_or_of_too_many_is_refused(
    review: Review, api: SessionServiceStub, ids: list[str]
) -> None:
    count = len(review.store.recorded)
    with pytest.raises(grpc.RpcError) as error:
        read_some(api, "ada", *ids)
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT
    assert len(review.store.recorded) == count


def test_of_several_none_is_given_while_the_readings_cannot_be_recorded(
    review: Review, api: SessionServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_drafts: EntryDraft) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(review.store, "append", away)
    received: list[pb.GetSessionResponse] = []
    with pytest.raises(grpc.RpcError) as error:
        received.extend(api.GetSessions(pb.GetSessionsRequest(ids=["ses_1"]), metadata=as_("ada")))
    assert status(error) is grpc.StatusCode.UNAVAILABLE
    assert received == []
