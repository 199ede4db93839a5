"""Lists with more filters, a search for text, following the record, and ending what runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_session
from tests.servers.review_people import NOW

from authz_api.v1 import sessions_pb2 as pb
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_service.audit.draft import EntryDraft, Kind


@pytest.fixture
def review(thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    store = MemoryStore()
    store.past = {
        "ses_1": make_session("ses_1"),
        "ses_2": make_session("ses_2", ended_at=None, status="released", started_at=NOW + 10),
    }
    store.recorded = [EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {"model": "llama"}, {"body": b"1"})]
    with running(thread, tmp_path, store) as review:
        yield review


@pytest.fixture
def api(review: Review) -> Iterator[SessionServiceStub]:
    with grpc.insecure_channel(review.address) as channel:
        yield SessionServiceStub(channel)


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-{name}"),)


def refusal(error: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str]:
    call: object = error.value
    assert isinstance(call, grpc.Call)
    return call.code(), str(dict(call.trailing_metadata() or ()).get("authz-code", ""))


def ids(api: SessionServiceStub, request: pb.ListSessionsRequest) -> list[str]:
    return [session.id for session in api.ListSessions(request, metadata=as_("ada")).sessions]


def append(review: Review, *drafts: EntryDraft) -> None:
    review.do(review.store.append(*drafts))


def test_a_list_is_narrowed_by_time(api: SessionServiceStub) -> None:
    request = pb.ListSessionsRequest()
    request.since.FromSeconds(int(NOW) + 1)
    assert ids(api, request) == ["ses_2"]
    request = pb.ListSessionsRequest()
    request.until.FromSeconds(int(NOW) + 1)
    assert ids(api, request) == ["ses_1"]


def test_a_search_for_text_is_on_record_with_its_words_and_who_searched(
    review: Review, api: SessionServiceStub
) -> None:
    assert ids(api, pb.ListSessionsRequest(text="staff")) == ["ses_2", "ses_1"]
    draft = review.store.recorded[-1]
    assert (draft.kind, draft.session, dict(draft.data)) == (Kind.SESSION_SEARCHED, None, {})
    assert json.loads(draft.payloads["reader"])["subject"] == "ada"
    assert draft.payloads["text"] == b"staff"


def test_a_search_that_cannot_be_recorded_is_not_answered(thread: LoopThread, tmp_path: Path) -> None:
    class ReadOnly(MemoryStore):
        async def append(self, *drafts: EntryDraft) -> None:
            self.is_away = True
            await super().append(*drafts)
            self.is_away = False

        async def sessions(self, query: object) -> object:  # type: ignore[override]
            raise AssertionError("it was answered")

    with running(thread, tmp_path, ReadOnly()) as review, grpc.insecure_channel(review.address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            ids(SessionServiceStub(channel), pb.ListSessionsRequest(text="staff"))
        assert refusal(error)[0] is grpc.StatusCode.UNAVAILABLE


def test_the_index_is_brought_up_to_date_for_who_asks_it_and_for_nobody_else(
    review: Review, api: SessionServiceStub
) -> None:
    ids(api, pb.ListSessionsRequest(rule="staff"))
    assert review.index.asked == 0
    request = pb.ListSessionsRequest(group="contractors")
    assert not api.ListSessions(request, metadata=as_("ada")).is_behind
    review.index.is_current = False
    assert api.ListSessions(request, metadata=as_("ada")).is_behind
    assert review.index.asked == 2


def test_where_texts_are_not_indexed_a_search_says_so_and_is_not_recorded(
    review: Review, api: SessionServiceStub
) -> None:
    review.index.has_texts = False
    with pytest.raises(grpc.RpcError) as error:
        ids(api, pb.ListSessionsRequest(text="staff"))
    assert refusal(error) == (grpc.StatusCode.FAILED_PRECONDITION, "search_off")
    assert len(review.store.recorded) == 1


def test_a_search_without_end_is_refused(api: SessionServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ids(api, pb.ListSessionsRequest(text="x" * 1025))
    assert refusal(error) == (grpc.StatusCode.INVALID_ARGUMENT, "text_unreadable")


def test_the_record_is_followed_from_now_on_and_resumed_without_a_gap(
    review: Review, api: SessionServiceStub
) -> None:
    messages = iter(api.TailSessions(pb.TailSessionsRequest(), metadata=as_("ada")))
    cursor = next(messages).cursor
    append(review, *(EntryDraft(Kind.ANSWER_RELEASED, "ses_2", {"n": n}, {"body": b"x"}) for n in range(5)))
    first = next(messages)
    del messages
    again = iter(api.TailSessions(pb.TailSessionsRequest(cursor=first.cursor), metadata=as_("ada")))
    assert next(again).cursor == first.cursor
    rest = next(again)
    numbers = [json.loads(entry.data)["n"] for entry in (*first.entries, *rest.entries)]
    assert numbers == [0, 1, 2, 3, 4]
    assert [list(entry.payloads) for entry in rest.entries] == [[], []]
    assert cursor == "1"
    assert all(draft.kind is not Kind.SESSION_READ for draft in review.store.recorded)


def test_one_session_is_followed_with_its_payloads_and_that_is_on_record(
    review: Review, api: SessionServiceStub
) -> None:
    messages = iter(api.TailSessions(pb.TailSessionsRequest(session="ses_2"), metadata=as_("ada")))
    next(messages)
    assert (review.store.recorded[-1].kind, review.store.recorded[-1].session) == (Kind.SESSION_READ, "ses_2")
    append(
        review,
        EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {}, {"body": b"other"}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_2", {}, {"body": b"mine"}),
    )
    assert [entry.payloads[0].body for entry in next(messages).entries] == [b"mine"]


@pytest.mark.parametrize(
    ("name", "session", "cursor", "status"),
    [
        ("rita", "", "", grpc.StatusCode.PERMISSION_DENIED),
        ("ada", "ses_none", "", grpc.StatusCode.NOT_FOUND),
        ("ada", "", "999", grpc.StatusCode.INVALID_ARGUMENT),
        ("ada", "", "x", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_tail_is_refused(
    api: SessionServiceStub, name: str, session: str, cursor: str, status: grpc.StatusCode
) -> None:
    request = pb.TailSessionsRequest(session=session, cursor=cursor)
    with pytest.raises(grpc.RpcError) as error:
        list(api.TailSessions(request, metadata=as_(name)))
    assert refusal(error)[0] is status


def test_an_operator_ends_a_session_with_a_reason_on_record(review: Review, api: SessionServiceStub) -> None:
    killed = api.KillSession(pb.KillSessionRequest(id="ses_2", reason="It loops."), metadata=as_("olga"))
    assert (killed.session.id, killed.session.status) == ("ses_2", "killing")
    draft = review.store.recorded[-1]
    assert (draft.kind, draft.session, draft.payloads["reason"]) == (
        Kind.SESSION_KILLED,
        "ses_2",
        b"It loops.",
    )
    assert json.loads(draft.payloads["operator"])["subject"] == "olga"


@pytest.mark.parametrize(
    ("name", "session", "reason", "code"),
    [
        ("ada", "ses_2", "No.", "not_operator"),
        ("olga", "ses_none", "No.", "session_not_found"),
        ("olga", "ses_1", "No.", "session_ended"),
        ("olga", "ses_2", " ", "reason_required"),
    ],
)
def test_a_kill_is_refused_and_nothing_is_recorded(
    review: Review, api: SessionServiceStub, name: str, session: str, reason: str, code: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        api.KillSession(pb.KillSessionRequest(id=session, reason=reason), metadata=as_(name))
    assert refusal(error)[1] == code
    assert len(review.store.recorded) == 1
