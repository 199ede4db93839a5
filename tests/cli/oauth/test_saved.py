"""Logins that are kept: who may read them, where their tokens are, and how they are renewed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import pytest
from click.testing import CliRunner
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from tests.cli.oauth.conftest import ScriptedProvider

from authz_cli.exits import Exit, Failure
from authz_cli.login import log_in
from authz_cli.main import cli
from authz_cli.oauth.client import Client, Use
from authz_cli.oauth.fresh import fresh_secrets
from authz_cli.oauth.saved import SavedLogin, alone, find_login, folder, keep, saved_logins, secrets_of
from authz_cli.oauth.secrets import Secrets, keyring_here
from authz_cli.options import Target


class MemoryKeyring(KeyringBackend):
    """A desktop's keyring; what nobody else may read is in `held`."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no types here
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    before, backend = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def login(
    issuer: str = "https://login.example.com",
    *,
    server: str = "review.example:8443",
    use: Use = Use.REVIEW,
    in_keyring: bool = False,
) -> SavedLogin:
    return SavedLogin(use, server, "", Client(issuer, "cli", audience="authz-review"), "rita", in_keyring)


def kept(login: SavedLogin, *, left: float = 600, refresh: str = "r1") -> SavedLogin:
    with alone():
        keep(login, Secrets("old-token", time.time() + left, refresh))
    return login


def target(server: str | None = None, *, data: Path = Path("nowhere")) -> Target:
    return Target(server, None, None, data, is_data_dir_named=False)


def test_a_login_comes_back_as_it_was_kept() -> None:
    kept(login())
    assert saved_logins() == [login()]
    found = secrets_of(login())
    assert found is not None
    assert (found.token, found.refresh_token) == ("old-token", "r1")


def test_a_later_login_at_the_same_server_takes_the_place_of_the_first() -> None:
    for server in ("a:1", "b:1", "a:1"):
        kept(login(server=server))
    assert [found.server for found in saved_logins()] == ["b:1", "a:1"]
    assert find_login(Use.REVIEW, None) == login(server="a:1")
    assert find_login(Use.REVIEW, "b:1") == login(server="b:1")
    assert find_login(Use.GATEWAY, None) is None


def test_the_file_is_closed_to_others_and_not_used_when_it_is_open() -> None:
    kept(login())
    path = folder() / "logins.json"
    assert (path.stat().st_mode & 0o777, folder().stat().st_mode & 0o777) == (0o600, 0o700)
    path.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        saved_logins()
    path.chmod(0o600)
    folder().chmod(0o755)
    with pytest.raises(Failure, match="chmod 700"):
        kept(login())


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}', '{"version": 1, "logins": [{"use": "x"}]}'])
def test_a_damaged_file_says_what_to_do(text: str) -> None:
    kept(login())
    (folder() / "logins.json").write_text(text)
    with pytest.raises(Failure, match="delete it and log in again"):
        saved_logins()


def test_in_the_keyring_nothing_secret_is_in_the_file(ring: MemoryKeyring) -> None:
    kept(login(in_keyring=True))
    assert "old-token" not in (folder() / "logins.json").read_text()
    assert "old-token" in ring.held["authz", "review review.example:8443"]
    assert fresh_secrets(login(in_keyring=True)).token == "old-token"


def test_a_keyring_that_is_gone_is_said_to_be(ring: MemoryKeyring) -> None:
    kept(login(in_keyring=True))
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # as above
    assert keyring_here() is None
    with pytest.raises(Failure, match="--storage file") as caught:
        fresh_secrets(login(in_keyring=True))
    assert caught.value.exit_code == Exit.AWAY


def test_a_keyring_that_refuses_does_not_quote_what_it_was_given(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(service: str, username: str, password: str) -> None:
        raise RuntimeError(f"cannot store {password}")

    monkeypatch.setattr(ring, "set_password", refuse)
    with pytest.raises(Failure, match="unlock it") as caught:
        kept(login(in_keyring=True))
    assert "old-token" not in caught.value.format_message()


def test_a_token_with_time_left_is_shown_without_asking_the_provider(provider: ScriptedProvider) -> None:
    assert fresh_secrets(kept(login(provider.issuer))).token == "old-token"
    assert provider.asked == []


def test_a_token_is_renewed_before_it_ends_and_the_refresh_token_is_replaced(
    provider: ScriptedProvider,
) -> None:
    provider.answers["/token"] = [(200, provider.grant(refresh_token="r2"))]
    found = fresh_secrets(kept(login(provider.issuer), left=30))
    assert (found.token != "old-token", found.refresh_token) == (True, "r2")
    assert secrets_of(login(provider.issuer)) == found
    assert provider.asked[-1][1]["refresh_token"] == "r1"


def test_a_provider_that_does_not_rotate_leaves_the_refresh_token(provider: ScriptedProvider) -> None:
    provider.answers["/token"] = [(200, provider.grant())]
    assert fresh_secrets(kept(login(provider.issuer), left=0)).refresh_token == "r1"


def test_of_many_at_a_time_one_asks_the_provider(provider: ScriptedProvider) -> None:
    provider.answers["/token"] = [(200, provider.grant(refresh_token="r2"))]
    saved = kept(login(provider.issuer), left=0)
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: fresh_secrets(saved).token, range(8)))
    assert len(tokens) == 1
    assert [path for path, _ in provider.asked].count("/token") == 1


def test_while_the_provider_is_away_a_token_that_is_still_good_goes_on(provider: ScriptedProvider) -> None:
    provider.answers["/token"] = [(503, {})]
    assert fresh_secrets(kept(login(provider.issuer), left=30)).token == "old-token"
    with pytest.raises(Failure) as caught:
        fresh_secrets(kept(login(provider.issuer), left=0))
    assert caught.value.exit_code == Exit.AWAY


def test_a_login_that_ended_says_how_to_begin_anew(provider: ScriptedProvider) -> None:
    provider.answers["/token"] = [(400, {"error": "invalid_grant"})]
    with pytest.raises(Failure, match=r"authz login --server review.example:8443"):
        fresh_secrets(kept(login(provider.issuer), left=0))
    with pytest.raises(Failure, match=r"authz login --gateway"):
        fresh_secrets(kept(login(provider.issuer, use=Use.GATEWAY, server=""), left=0, refresh=""))


def test_a_renewed_token_of_somebody_else_is_not_shown(provider: ScriptedProvider) -> None:
    grant = provider.grant()
    provider.answers["/token"] = [(200, grant)]
    saved = SavedLogin(Use.REVIEW, "a:1", "", Client(provider.issuer, "cli"), "somebody-else", False)
    with pytest.raises(Failure, match="somebody else"):
        fresh_secrets(kept(saved, left=0))


def test_a_login_goes_to_its_own_server_only() -> None:
    kept(login(server="a:1"))
    assert log_in(target("a:1")).token() == "old-token"
    assert log_in(target()).address == "a:1"
    with pytest.raises(Failure, match="authz login --server b:1"):
        log_in(target("b:1"))


def test_a_token_for_the_gateway_is_no_login_for_reviewing() -> None:
    kept(login(use=Use.GATEWAY))
    with pytest.raises(Failure, match="authz login"):
        log_in(target("review.example:8443"))


def test_logging_out_forgets_even_when_the_provider_is_away(provider: ScriptedProvider) -> None:
    kept(login(provider.issuer))
    provider.answers["/revoke"] = [(503, {"error": "temporarily_unavailable"})]
    result = CliRunner().invoke(cli, ["auth", "logout"])
    assert (result.exit_code, "end the session" in result.output) == (Exit.REFUSED, True)
    assert saved_logins() == []


def test_status_shows_no_token() -> None:
    kept(login())
    text, told = (CliRunner().invoke(cli, ["auth", "status", *words]) for words in ([], ["--json"]))
    assert "rita" in text.output
    assert "old-token" not in text.output + told.output
    assert json.loads(told.output)[0] | {"expires_at": 0} == {
        "use": "review",
        "server": "review.example:8443",
        "subject": "rita",
        "issuer": "https://login.example.com",
        "client_id": "cli",
        "expires_at": 0,
        "is_renewed": True,
        "storage": "file",
    }
