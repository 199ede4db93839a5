"""A hold that ceases to be theirs is told to whoever watches; who has no role any more watches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_hold
from tests.servers.watching import next_hold, snapshot, told

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_cli.refusals import code_of
from authz_service.core.acts import Review as ToReview
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldState

LEGAL = Approval("legal", (Stage("legal", 1, 1800.0),))


@pytest.fixture
def review(thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    with running(thread, tmp_path) as review:
        yield review


def watch(
    review: Review, cursor: str = "", known: Sequence[str] = (), *, name: str = "rita"
) -> Iterator[pb.WatchHoldsResponse]:
    with grpc.insecure_channel(review.address) as channel:
        request = pb.WatchHoldsRequest(cursor=cursor, known=known)
        metadata = (("authorization", f"Bearer token-{name}"),)
        yield from HoldServiceStub(channel).WatchHolds(request, metadata=metadata, timeout=60)


def gone(messages: Iterator[pb.WatchHoldsResponse]) -> pb.WatchHoldsResponse:
    return next(message for message in messages if message.WhichOneof("what") == "no_longer_yours")


def test_it_is_told_with_a_cursor_to_who_saw_it_and_not_again(review: Review) -> None:
    review.put(make_hold("hld_1"))
    messages = watch(review)
    seen, cursor = snapshot(messages)
    assert seen == ["hld_1"]
    review.put(make_hold("hld_1", approvals=(LEGAL,), version=2))
    message = gone(messages)
    assert message.no_longer_yours == "hld_1"
    assert int(message.cursor) > int(cursor)
    review.put(make_hold("hld_1", approvals=(LEGAL,), version=3))
    review.put(make_hold("hld_2"))
    said = []
    while "hold" not in said:
        said.append(next(messages).WhichOneof("what"))
    assert "no_longer_yours" not in said


def test_it_is_told_as_theirs_when_it_is_that_again(review: Review) -> None:
    review.put(make_hold("hld_1"))
    messages = watch(review)
    snapshot(messages)
    review.put(make_hold("hld_1", approvals=(LEGAL,), version=2))
    gone(messages)
    review.put(make_hold("hld_1", version=3))
    assert told(next_hold(messages)) == ("hld_1", "PENDING")
    review.put(make_hold("hld_1", approvals=(LEGAL,), version=4))
    assert gone(messages).no_longer_yours == "hld_1"


def test_who_never_saw_it_learns_nothing_of_it(review: Review) -> None:
    messages = watch(review, name="lea")
    snapshot(messages)
    review.put(make_hold("hld_1"))
    assert next(messages).WhichOneof("what") == "bookmark"
    review.put(make_hold("hld_2", approvals=(LEGAL,)))
    seen = []
    for message in messages:
        seen.append(message.WhichOneof("what"))
        if message.HasField("hold"):
            break
    assert "no_longer_yours" not in seen


def test_what_is_reviewed_is_no_longer_on_the_list_of_who_was_to_review_it(review: Review) -> None:
    messages = watch(review)
    snapshot(messages)
    alone: dict[str, Any] = {"approvals": (LEGAL,), "state": HoldState.RELEASED}
    review.put(make_hold("hld_1", review=ToReview.DUE, **alone))
    assert told(next_hold(messages)) == ("hld_1", "RELEASED")
    review.put(make_hold("hld_1", review=ToReview.DONE, version=2, **alone))
    assert gone(messages).no_longer_yours == "hld_1"


def test_what_ceased_to_be_theirs_during_a_break_is_told_first_to_who_says_what_they_know(
    review: Review,
) -> None:
    for number in range(3):
        review.put(make_hold(f"hld_{number}"))
    _, cursor = snapshot(watch(review))
    review.put(make_hold("hld_1", approvals=(LEGAL,), version=2))
    messages = watch(review, cursor, ["hld_0", "hld_1", "hld_1", "hld_9"])
    first = [next(messages) for _ in range(2)]
    assert [message.no_longer_yours for message in first] == ["hld_1", "hld_9"]
    assert {message.cursor for message in first} == {cursor}
    review.put(make_hold("hld_0", approvals=(LEGAL,), version=2))
    assert gone(messages).no_longer_yours == "hld_0"


def test_more_than_can_be_known_is_refused(review: Review) -> None:
    with pytest.raises(grpc.RpcError) as error:
        next(watch(review, "", [f"hld_{number}" for number in range(10_001)]))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(error.value) == "known_too_many"


def test_whoever_has_no_role_any_more_watches_no_further(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = watch(review)
    snapshot(messages)
    monkeypatch.setattr("tests.servers.review_fakes.GroupRoles.is_reviewer", lambda _self, _person: False)
    review.put(make_hold("hld_1"))
    with pytest.raises(grpc.RpcError) as error:
        list(messages)
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert code_of(error.value) == "no_role"
