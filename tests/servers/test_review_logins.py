"""Where to log in is told to whoever asks, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import running

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
        said.append(LoginServiceStub(channel).GetLoginOptions(GetLoginOptionsRequest(), timeout=60))
        with pytest.raises(grpc.RpcError) as refused:
            HoldServiceStub(channel).ListHolds(ListHoldsRequest(), timeout=60)
        codes.append(refused.value.code)
    thread.close()
    (options,) = said
    assert (options.review.issuer, options.review.client_id) == ("https://login.example.com", "cli")
    assert (options.review.audience, options.review.resource) == ("authz-review", "urn:review")
    assert list(options.review.scopes) == ["openid", "offline_access"]
    assert not options.HasField("gateway")
    assert codes[0]() is grpc.StatusCode.UNAUTHENTICATED


SAML = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
review: {reviewers: "false", auditors: "false"}
identity:
  saml:
    - {name: corp, entity_id: "https://idp.example.com", metadata: corp.xml, audience: llm-gateway}
    %s
login: {url: "https://login.example.com", listen: {address: "127.0.0.1:8444"}}
"""


def options(tmp_path: Path, more: str = "") -> GetLoginOptionsResponse:
    path = tmp_path / "authz.yaml"
    path.write_text(SAML % more)
    return LoginReview.of(load_config(path).config).options


def test_the_only_saml_provider_is_where_people_log_in_for_both_doors(tmp_path: Path) -> None:
    found = options(tmp_path)
    (corp,) = found.saml
    assert (corp.name, corp.review, corp.gateway) == ("corp", found.review, found.gateway)
    assert found.review.issuer == found.gateway.issuer == "https://login.example.com/saml/corp"
    assert (found.review.client_id, found.review.audience) == ("authz-review", "authz-review")
    assert (found.gateway.client_id, found.gateway.audience) == ("authz-gateway", "llm-gateway")
    assert list(found.review.scopes) == []


def test_of_several_saml_providers_the_person_names_one(tmp_path: Path) -> None:
    other = '- {name: other, entity_id: "https://x.example", metadata: other.xml, audience: x}'
    found = options(tmp_path, other)
    assert [login.name for login in found.saml] == ["corp", "other"]
    assert found.saml[1].gateway.audience == "x"
    assert [found.HasField(use) for use in ("review", "gateway")] == [False, False]
