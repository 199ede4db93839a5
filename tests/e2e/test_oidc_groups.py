"""Groups that a token leaves out, before a real Envoy: looked up, or not known, which opens nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.identity_provider import AUDIENCE, IdentityProvider
from tests.e2e.issuers import config_with
from tests.e2e.people import until
from tests.e2e.stack import CHAT, Stack
from tests.identity.stand_in import Graph, Reply, standing_in
from tests.servers.loop_thread import LoopThread

OVERAGE: dict[str, Any] = {"groups": None, "_claim_names": {"groups": "src1"}}
HELD = (409, "approval_pending")


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    """Microsoft Graph, with somebody of staff and somebody of contractors."""
    thread, graph = LoopThread(), Graph()
    graph.members = {"id-alice": ["staff"], "id-carol": ["sales"]}
    directory = standing_in(graph)
    thread.run(directory.__aenter__())
    yield graph
    thread.run(directory.__aexit__(None, None, None))
    thread.close()


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(idp: IdentityProvider, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    secret = folder / "graph.secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    lookup = "directory: entra, tenant: our-tenant, client: our-app, secret: graph.secret"
    lookup += f', login: "{graph.url}", api: "{graph.url}"'
    settings = f"audience: {AUDIENCE}, algorithms: [RS256], lookup: {{{lookup}}}"
    config = config_with([idp.issuer()], settings)
    with Stack(folder, wait="1s", config=config) as running:
        yield running


def ask(stack: Stack, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, content=json.dumps(CHAT), headers=headers, timeout=60)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_whoever_is_of_staff_by_the_directory_is_served(
    stack: Stack, idp: IdentityProvider, graph: Graph
) -> None:
    answer = ask(stack, idp.token(oid="id-alice", **OVERAGE))
    assert answer.status_code == 200
    caller = stack.session(answer.headers["x-authz-session"])["caller"]
    assert (caller["groups"], caller["groups_complete"]) == (["staff"], True)
    assert len(graph.logins) == 1


def test_whoever_is_in_other_groups_is_denied(stack: Stack, idp: IdentityProvider) -> None:
    assert ask(stack, idp.token(sub="carol", oid="id-carol", **OVERAGE)).status_code == 403


def test_whose_groups_are_not_known_is_held_as_a_contractor_would_be_and_not_served_as_staff(
    stack: Stack, idp: IdentityProvider
) -> None:
    before = len(stack.upstream.requests)
    assert code_of(ask(stack, idp.token(sub="mallory", oid="id-mallory", **OVERAGE))) == HELD
    assert code_of(ask(stack, idp.token(sub="nobody", **OVERAGE))) == HELD
    assert len(stack.upstream.requests) == before


def test_a_directory_that_fails_leaves_whom_it_named_and_opens_nothing_to_others(
    stack: Stack, idp: IdentityProvider, graph: Graph
) -> None:
    assert ask(stack, idp.token(oid="id-alice", **OVERAGE)).status_code == 200
    graph.fail = [Reply({}, 503)] * 100
    graph.members["id-dave"] = ["staff"]
    assert ask(stack, idp.token(oid="id-alice", jti="another", **OVERAGE)).status_code == 200
    assert code_of(ask(stack, idp.token(sub="dave", oid="id-dave", **OVERAGE))) == HELD
    graph.fail = []
    dave = idp.token(sub="dave", oid="id-dave", **OVERAGE)
    until(lambda: ask(stack, dave).status_code == 200, "the directory is asked again after its pause")


def test_no_secret_of_ours_is_in_a_log_or_on_record(stack: Stack, graph: Graph) -> None:
    everything = [path.read_bytes() for path in stack.folder.rglob("*") if path.is_file()]
    assert sum(b"s3cret" in content for content in everything) == 1  # its own file
    assert not [content for content in everything if graph.bearer.encode() in content]
