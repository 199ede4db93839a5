"""Which server is called, and as whom."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import running
from tests.servers.review_made import make_hold

from authz_cli.exits import Exit, Failure
from authz_cli.login import GROUPS, REVIEW_AUDIENCE, log_in
from authz_cli.main import cli
from authz_cli.options import Target
from authz_service.identity.embedded import EMBEDDED_ISSUER, GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.identity.issuer import TrustedIssuer
from authz_service.identity.key_sources import FixedKeys
from authz_service.identity.verifier import Verifier
from authz_service.keys.data_dir import DataDir


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    directory = DataDir.open(tmp_path / "data")
    EmbeddedIssuer.load(directory.issuer_key)
    return directory


def target(
    *, server: str | None = None, token: str | None = None, data: Path = Path("nowhere"), named: bool = False
) -> Target:
    return Target(server, None, token, data, is_data_dir_named=named)


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_a_data_directory_leads_to_its_socket_as_the_user_of_this_machine(data: DataDir) -> None:
    login = log_in(target(data=data.root))
    assert login.address == f"unix:{data.review_socket}"
    said = claims(login.token())
    assert (said["sub"], said["groups"], said["aud"]) == (getpass.getuser(), list(GROUPS), REVIEW_AUDIENCE)
    assert isinstance(said["exp"], int)
    assert isinstance(said["iat"], int)
    assert said["exp"] - said["iat"] <= 300


def test_what_up_has_written_says_where_the_socket_is(data: DataDir) -> None:
    data.up.write_text(json.dumps({"review": "unix:/run/authz/review.sock"}))
    assert log_in(target(data=data.root)).address == "unix:/run/authz/review.sock"


@pytest.mark.parametrize("review", ["evil.example:443", 5, None, ["unix:/x"]])
def test_a_data_directory_cannot_send_the_token_to_a_host(data: DataDir, review: object) -> None:
    data.up.write_text(json.dumps({"review": review}))
    assert log_in(target(data=data.root, token="t")).address == f"unix:{data.review_socket}"


def test_a_data_directory_that_others_may_write_to_is_not_used(data: DataDir) -> None:
    data.root.chmod(0o777)
    with pytest.raises(Failure, match="chmod 700"):
        log_in(target(data=data.root))


def test_without_a_data_directory_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="authz up") as failure:
        log_in(target(data=tmp_path / "none"))
    assert failure.value.exit_code == Exit.USAGE
    assert not (tmp_path / "none").exists()


def test_no_key_is_made_where_there_is_none(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path / "data")
    with pytest.raises(Failure, match="AUTHZ_TOKEN"):
        log_in(target(data=data.root))
    assert not data.issuer_key.exists()


def test_a_server_elsewhere_gets_no_token_of_this_machine(data: DataDir) -> None:
    with pytest.raises(Failure, match="AUTHZ_TOKEN"):
        log_in(target(server="review.example:443", data=data.root))
    assert log_in(target(server="review.example:443", token="t")).token() == "t"
    assert log_in(target(server="unix:/x", data=data.root, named=True)).token().count(".") == 2


@pytest.mark.parametrize("address", ["review.example", "https://review.example", "/run/review.sock", "host:"])
def test_an_address_must_be_a_socket_or_a_host_with_a_port(address: str) -> None:
    with pytest.raises(Failure, match="HOST:PORT"):
        log_in(target(server=address, token="t"))


@pytest.fixture
def served(review_thread: LoopThread, data: DataDir) -> Iterator[DataDir]:
    """A server in the data directory, with the real verifier of its embedded issuer."""
    issuer = TrustedIssuer(
        EMBEDDED_ISSUER, GATEWAY_AUDIENCE, ("EdDSA",), FixedKeys(EmbeddedIssuer.load(data.issuer_key).key)
    )
    store = MemoryStore()
    store.put(make_hold())
    verifier = Verifier([issuer], review_audience=REVIEW_AUDIENCE)
    with running(review_thread, data.sockets, store, verifier):
        yield data


def list_holds(data: DataDir, token: str = "") -> Result:
    return CliRunner().invoke(
        cli,
        ["hold", "list", "--json", "--data-dir", str(data.root)],
        env={"AUTHZ_SERVER": "", "AUTHZ_TOKEN": token},
    )


def test_on_the_machine_of_an_embedded_run_no_login_is_needed(served: DataDir) -> None:
    result = list_holds(served)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["id"] == "hld_1"


def test_a_token_for_the_gateway_opens_no_review(served: DataDir) -> None:
    issuer = EmbeddedIssuer.load(served.issuer_key)
    token = issuer.sign("agent", GROUPS, audience=GATEWAY_AUDIENCE, ttl=60, now=time.time())
    result = list_holds(served, token)
    assert result.exit_code == Exit.NOT_PERMITTED
    assert token not in result.output
