"""Whoever reads several sessions gets nothing more once their token is withdrawn, or over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import running
from tests.servers.review_made import make_session

from authz_api.v1 import sessions_pb2 as pb
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_cli.refusals import code_of
from authz_service.errors import Unauthenticated
from authz_service.servers import review_sessions
from authz_service.view.caller import Caller


def read_until_refused(thread: LoopThread, tmp_path: Path, refuse: Callable[[MemoryStore], None]) -> str:
    """With what code the reading of three sessions ended, of which the third was not given any more."""
    asked: list[str] = []
    store = MemoryStore()
    store.past = {name: make_session(name) for name in ("ses_1", "ses_2", "ses_3")}

    def recheck(caller: Caller) -> None:
        asked.append(caller.subject)
        if len(asked) == 2:
            refuse(store)

    given: list[str] = []
    with (
        running(thread, tmp_path, store, recheck=recheck) as review,
        grpc.insecure_channel(review.address) as channel,
    ):
        reading = SessionServiceStub(channel).GetSessions(
            pb.GetSessionsRequest(ids=list(store.past)), metadata=(("authorization", "Bearer token-ada"),)
        )
        with pytest.raises(grpc.RpcError) as caught:
            given.extend(part.session.id for part in reading)
    assert "ses_3" not in given
    return code_of(caught.value)


def test_the_rest_of_several_sessions_is_not_given_to_a_token_that_was_withdrawn(
    thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def withdrawn(_store: MemoryStore) -> None:
        raise Unauthenticated("the token has been withdrawn", code="token_revoked")

    monkeypatch.setattr(review_sessions, "READ_BYTES", 0)  # one session at a time
    assert read_until_refused(thread, tmp_path, withdrawn) == "token_revoked"


def test_nor_to_one_that_expired_meanwhile(
    thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pass_by(store: MemoryStore) -> None:
        store.time += 1_000_000

    monkeypatch.setattr(review_sessions, "READ_BYTES", 0)
    assert read_until_refused(thread, tmp_path, pass_by) == "token_expired"
