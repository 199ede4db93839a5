"""Where to log in is told to whoever asks, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from tests.servers.review_fakes import LoopThread, running

from authz_api.v1.holds_pb2 import ListHoldsRequest
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_api.v1.logins_pb2 import GetLoginOptionsRequest, GetLoginOptionsResponse
from authz_api.v1.logins_pb2_grpc import LoginServiceStub
from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.servers.review_logins import LoginReview

FILE = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
identity:
  issuers: [{url: "https://login.example.com", audience: llm-gateway, algorithms: [RS256]}]
login:
  review: {issuer: "https://login.example.com", client: cli, resource: "urn:review"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "authz.yaml"
    path.write_text(FILE)
    return load_config(path).config


@pytest.fixture
def thread() -> LoopThread:
    return LoopThread()


def test_it_is_told_without_a_token_and_with_the_audience(
    thread: LoopThread, tmp_path: Path, config: Config
) -> None:
    said: list[GetLoginOptionsResponse] = []
    codes: list[Callable[[], grpc.StatusCode]] = []
    with (
        running(thread, tmp_path, logins=LoginReview.of(config)) as review,
        grpc.insecure_channel(review.address) as channel,
    ):
        said.append(LoginServiceStub(channel).GetLoginOptions(GetLoginOptionsRequest(), timeout=10))
        with pytest.raises(grpc.RpcError) as refused:
            HoldServiceStub(channel).ListHolds(ListHoldsRequest(), timeout=10)
        codes.append(refused.value.code)
    thread.close()
    (options,) = said
    assert (options.review.issuer, options.review.client_id) == ("https://login.example.com", "cli")
    assert (options.review.audience, options.review.resource) == ("authz-review", "urn:review")
    assert list(options.review.scopes) == ["openid", "offline_access"]
    assert not options.HasField("gateway")
    assert codes[0]() is grpc.StatusCode.UNAUTHENTICATED
