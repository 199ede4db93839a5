"""Several models behind one gateway: the service chooses, by the configuration and the body alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import CHAT, CONFIG, Stack
from tests.e2e.upstream import Upstream

MODEL_KEY = "sk-the-models-own-key"
SECOND = """\
  - name: second
    aliases: [gpt-5]
    url: "{second_url}"
    credential: {{file: second.key, header: authorization, prefix: "Bearer "}}
identity:"""


@pytest.fixture(scope="module")
def second() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory, second: Upstream) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("two-models")
    (folder / "second.key").write_text(MODEL_KEY)
    (folder / "second.key").chmod(0o600)
    config = CONFIG.replace("identity:", SECOND.replace("{second_url}", second.url), 1)
    config = config.replace("path: /health,", "path: /health, model: llama,")
    with Stack(folder, config=config) as stack:
        yield stack


@pytest.mark.parametrize("name", ["second", "gpt-5"])
def test_a_request_goes_to_the_model_that_its_body_names(
    two_models: Stack, second: Upstream, name: str
) -> None:
    before = len(second.requests), len(two_models.upstream.requests)
    assert two_models.post(CHAT | {"model": name}, "staff").status_code == 200
    assert (len(second.requests), len(two_models.upstream.requests)) == (before[0] + 1, before[1])
    assert second.requests[-1].json()["model"] == "second"


def test_the_other_model_gets_its_own(two_models: Stack, second: Upstream) -> None:
    before = len(second.requests)
    assert two_models.post(CHAT, "staff").status_code == 200
    assert len(second.requests) == before
    assert two_models.upstream.requests[-1].json()["model"] == "llama"


def test_a_callers_own_routing_header_chooses_nothing(two_models: Stack, second: Upstream) -> None:
    before = len(second.requests)
    spoofed = {"x-authz-model": "second", "x-authz-session": "ses_forged"}
    answer = two_models.post(CHAT, "staff", headers=spoofed)
    assert answer.status_code == 200
    assert len(second.requests) == before
    assert answer.headers["x-authz-session"] != "ses_forged"
    assert not two_models.upstream.requests[-1].header("x-authz-model")


def test_a_denied_request_reaches_neither(two_models: Stack, second: Upstream) -> None:
    before = len(second.requests), len(two_models.upstream.requests)
    assert two_models.post(CHAT, headers={"x-authz-model": "second"}).status_code == 403
    assert (len(second.requests), len(two_models.upstream.requests)) == before


def test_the_model_gets_its_own_credential_and_never_the_callers(two_models: Stack, second: Upstream) -> None:
    two_models.post(CHAT | {"model": "second"}, "staff")
    assert second.requests[-1].header("authorization") == [f"Bearer {MODEL_KEY}"]
    two_models.post(CHAT, "staff")
    assert two_models.upstream.requests[-1].header("authorization") == []


def test_the_models_credential_is_not_on_record(two_models: Stack) -> None:
    answer = two_models.post(CHAT | {"model": "second"}, "staff")
    session = two_models.cli("session", "show", answer.headers["x-authz-session"], "--json").stdout
    assert MODEL_KEY not in session
    for file in two_models.data.glob("authz.db*"):
        assert MODEL_KEY.encode() not in file.read_bytes()
