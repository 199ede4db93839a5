"""What `authz doctor` says of issuers: keys that fit, clocks, directories, people who count as two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.identity_provider import FAULTS, IdentityProvider

from authz_service.commands.doctor_checks import Status
from authz_service.commands.doctor_issuers import check_issuers
from authz_service.config.identity_values import EntraDirectory, Issuer, Lookup


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


def found(*issuers: Issuer) -> list[tuple[str, Status, str]]:
    return [(finding.check, finding.status, finding.message) for finding in check_issuers(issuers)]


def issuer(idp: IdentityProvider, name: str = "main", **more: Any) -> Issuer:
    return Issuer(idp.issuer(name), "gw", more.pop("algorithms", ("RS256",)), **more)


def test_an_issuer_that_answers_is_fine(idp: IdentityProvider) -> None:
    assert found(issuer(idp)) == [(f"issuer {idp.issuer()}", Status.OK, "1 key for RS256")]
    both = found(issuer(idp, algorithms=("RS256", "ES256")))
    assert both == [(f"issuer {idp.issuer()}", Status.OK, "2 keys for RS256, ES256")]


def test_keys_in_a_file_or_at_a_url_are_read_too(idp: IdentityProvider, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(idp.signer.jwks("rsa"))
    for jwks in (str(file), f"{idp.issuer()}/keys"):
        assert [status for _, status, _ in found(issuer(idp, jwks=jwks))] == [Status.OK]
    file.write_text("[]")
    assert [status for _, status, _ in found(issuer(idp, jwks=str(file)))] == [Status.FAIL]
    file.unlink()
    ((_, status, message),) = found(issuer(idp, jwks=str(file)))
    assert (status, message) == (Status.FAIL, "its keys cannot be had (FileNotFoundError)")


def test_keys_that_fit_no_algorithm_are_said(idp: IdentityProvider) -> None:
    ((_, status, message),) = found(issuer(idp, algorithms=("EdDSA",)))
    assert (status, message) == (Status.FAIL, "none of its 2 keys can be used with EdDSA")


@pytest.mark.parametrize("fault", FAULTS)
def test_an_issuer_that_does_not_answer_as_it_should_fails_without_its_words(
    idp: IdentityProvider, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.commands.doctor_issuers.PATIENCE", 0.5)
    ((_, status, message),) = found(issuer(idp, fault))
    assert (status, message.startswith("its keys cannot be had (")) == (Status.FAIL, True)
    assert "Log in" not in message


@pytest.mark.parametrize(("seconds", "said"), [(30, ["ahead of"]), (-30, ["behind"]), (3, []), (-3, [])])
def test_a_clock_that_is_off_is_said(
    idp: IdentityProvider, seconds: int, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from authz_service.identity.key_cache import Fetched
    from authz_service.identity.keys import read_jwks

    keys = read_jwks(idp.signer.jwks("rsa"))

    class Server:
        url = "https://id"

        async def fetch(self) -> Fetched:
            return Fetched(keys, date=formatdate(time.time() + seconds + 0.5, usegmt=True))

    monkeypatch.setattr("authz_service.commands.doctor_issuers.key_server", lambda *_: Server())
    messages = [message for _, status, message in found(issuer(idp)) if status is Status.WARN]
    assert len(messages) == len(said)
    assert all(word in message for word, message in zip(said, messages, strict=True))


def test_a_directory_that_cannot_be_asked_is_said(idp: IdentityProvider, tmp_path: Path) -> None:
    secret = tmp_path / "graph.secret"
    secret.write_text("hush-hush")
    secret.chmod(0o600)
    server = idp.issuer().removesuffix("/main")
    entra = EntraDirectory("tenant", "app", secret, login=server, api=server)
    with_lookup = issuer(idp, lookup=Lookup(entra, "oid"))
    check, status, message = found(with_lookup)[-1]
    assert (check, status) == (f"issuer {idp.issuer()}, groups", Status.FAIL)
    assert "hush" not in message
    secret.chmod(0o644)
    assert "readable by other users" in found(with_lookup)[-1][2]


def test_one_person_at_two_issuers_is_said_to_be_two(idp: IdentityProvider) -> None:
    one, other = issuer(idp, person="email"), issuer(idp, "another")
    assert [status for check, status, _ in found(one, other) if check == "issuers"] == [Status.WARN]
    both = issuer(idp, "another", person="email")
    assert [status for check, status, _ in found(one, both) if check == "issuers"] == []
    assert [status for check, status, _ in found(issuer(idp)) if check == "issuers"] == []
