"""A watch ends when its token is withdrawn, before it tells anything more."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import running
from tests.servers.review_made import make_hold

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_cli.refusals import code_of
from authz_service.errors import Unauthenticated
from authz_service.view.caller import Caller


def test_a_watch_tells_nothing_to_a_token_that_was_withdrawn(thread: LoopThread, tmp_path: Path) -> None:
    withdrawn: list[str] = []

    def recheck(caller: Caller) -> None:
        if caller.subject in withdrawn:
            raise Unauthenticated("the token has been withdrawn", code="token_revoked")

    told: list[str] = []
    with running(thread, tmp_path, recheck=recheck) as review, grpc.insecure_channel(review.address) as way:
        metadata = (("authorization", "Bearer token-rita"),)
        watch = iter(HoldServiceStub(way).WatchHolds(pb.WatchHoldsRequest(), metadata=metadata))
        assert next(watch).HasField("snapshot_done")
        review.put(make_hold("hld_1"))
        assert next(message for message in watch if message.HasField("hold")).hold.id == "hld_1"
        withdrawn.append("rita")
        review.put(make_hold("hld_2"))
        with pytest.raises(grpc.RpcError) as caught:
            told.extend(message.hold.id for message in watch)
    assert "hld_2" not in told
    assert code_of(caught.value) == "token_revoked"
