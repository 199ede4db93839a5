"""What tests of the review API share: a served API, tokens of people, and refusals in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_hold

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.holds import Approval, Stage

Metadata = tuple[tuple[str, str], ...]
TWO_STAGES = Approval("both", (Stage("security", 1, 1800.0), Stage("legal", 1, 600.0)))


@pytest.fixture
def review(thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    with running(thread, tmp_path) as review:
        yield review


@pytest.fixture
def api(review: Review) -> Iterator[HoldServiceStub]:
    with grpc.insecure_channel(review.address) as channel:
        yield HoldServiceStub(channel)


def as_(name: str) -> Metadata:
    return (("authorization", f"Bearer token-{name}"),)


def refused(error: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str]:
    """The status and the stable code of a refusal."""
    call: object = error.value
    assert isinstance(call, grpc.Call)
    metadata = dict(call.trailing_metadata() or ())
    return call.code(), str(metadata.get("authz-code"))


def words(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    call: object = error.value
    assert isinstance(call, grpc.Call)
    return call.details() or ""


def approval(hold: str = "hld_1", digest: str = make_hold().digest, key: str = "") -> pb.ApproveHoldRequest:
    return pb.ApproveHoldRequest(id=hold, digest=digest, reason="Looked at it.", idempotency_key=key)
