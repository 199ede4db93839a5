"""`authz token` prints a token that the gateway accepts, or says what to do."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authz_service.commands.token import command
from authz_service.errors import Misconfigured
from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.identity.trust import trusted_embedded
from authz_service.identity.verifier import Verifier
from authz_service.keys.data_dir import DataDir


@pytest.fixture
def directory(tmp_path: Path) -> DataDir:
    directory = DataDir.open(tmp_path / "data")
    EmbeddedIssuer.load(directory.issuer_key)
    return directory


def run(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--data-dir", str(directory), *arguments])


def verifier(directory: DataDir, review: str = "authz-review") -> Verifier:
    return Verifier([trusted_embedded(EmbeddedIssuer.load(directory.issuer_key))], review_audience=review)


def token(result: Result) -> str:
    assert result.exit_code == 0, result.output
    assert result.output.endswith("\n")
    return result.output.strip()


def test_a_token_for_the_gateway_carries_subject_groups_and_owner(directory: DataDir) -> None:
    options = ["--subject", "build", "--group", "staff", "--group", "security", "--owner", "alice"]
    options += ["--scope", "model:llama", "--scope", "api:openai_chat"]
    caller = asyncio.run(verifier(directory).verify_gateway(token(run(directory.root, *options))))
    assert (caller.subject, caller.groups, caller.claims["owner"]) == (
        "build",
        ("staff", "security"),
        "alice",
    )
    assert caller.scope == ("model:llama", "api:openai_chat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--owner", "alice"), "add one"),
        (("--scope", "model:llama"), "give --owner"),
        (("--owner", "alice", "--scope", "model:llama", "--review"), "give --owner"),
    ],
)
def test_a_service_account_and_its_scope_go_together(
    directory: DataDir, options: tuple[str, ...], message: str
) -> None:
    refused = run(directory.root, "--subject", "build", *options)
    assert (refused.exit_code, message in refused.output) == (2, True)


def test_a_token_is_good_for_an_hour_unless_said_otherwise(directory: DataDir) -> None:
    before = time.time()
    for options, seconds in [
        ([], 3600),
        (["--ttl", "90s"], 90),
        (["--ttl", "24h"], 86_400),
        (["--ttl", "1d"], 86_400),
    ]:
        made = token(run(directory.root, "--subject", "alice", *options))
        caller = asyncio.run(verifier(directory).verify_gateway(made))
        assert before + seconds - 1 <= caller.expires_at <= time.time() + seconds


def test_json_says_when_the_token_ends(directory: DataDir) -> None:
    told = json.loads(token(run(directory.root, "--subject", "alice", "--ttl", "5m", "--json")))
    caller = asyncio.run(verifier(directory).verify_gateway(told["token"]))
    assert told["expires_at"] == caller.expires_at
    assert told["audience"] == "authz-gateway"


def test_a_review_token_is_for_the_review_api(directory: DataDir) -> None:
    made = token(run(directory.root, "--subject", "bob", "--review"))
    assert asyncio.run(verifier(directory).verify_review(made)).subject == "bob"
    made = token(run(directory.root, "--subject", "bob", "--review", "--audience", "reviews"))
    assert asyncio.run(verifier(directory, "reviews").verify_review(made)).subject == "bob"


def test_the_data_directory_may_come_from_the_environment(directory: DataDir) -> None:
    environment = {"AUTHZ_DATA_DIR": str(directory.root)}
    made = token(CliRunner().invoke(command, ["--subject", "alice"], env=environment))
    assert asyncio.run(verifier(directory).verify_gateway(made)).subject == "alice"


@pytest.mark.parametrize(
    "ttl", ["0", "0s", "25h", "2d", "-1h", "1.5h", "h", "forever", "٣m", "999999d", "1h\n", ""]
)
def test_a_time_that_is_out_of_bounds_or_unreadable_is_a_usage_error(directory: DataDir, ttl: str) -> None:
    result = run(directory.root, "--subject", "alice", "--ttl", ttl)
    assert result.exit_code == 2
    assert "--ttl" in result.output


@pytest.mark.parametrize(
    "options", [["--subject", ""], ["--subject", "a\x1b[2J"], ["--subject", "a", "--group", ""]]
)
def test_a_name_that_no_gateway_accepts_is_refused(directory: DataDir, options: list[str]) -> None:
    result = run(directory.root, *options)
    assert isinstance(result.exception, Misconfigured)
    assert "--subject" in str(result.exception)


def test_a_directory_without_an_issuer_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        result = run(folder, "--subject", "alice")
        assert isinstance(result.exception, Misconfigured)
        assert "authz up" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_others_may_read_is_not_used(directory: DataDir) -> None:
    directory.issuer_key.chmod(0o644)
    result = run(directory.root, "--subject", "alice")
    assert isinstance(result.exception, Misconfigured)
    assert "chmod 600" in str(result.exception)


def test_the_help_says_where_the_token_is_good(directory: DataDir) -> None:
    result: Any = CliRunner().invoke(command, ["--help"])
    assert "other issuers" in " ".join(result.output.replace("\n", " ").split())
    assert "OPENAI_API_KEY" in result.output
