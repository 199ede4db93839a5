"""Services that show a client certificate to the gateway, and everything that must not pass as one."""

from __future__ import annotations

import datetime
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.e2e.people import approve, hold_of, in_background, reviewer
from tests.e2e.stack import CHAT, CONFIG, Stack

from authz_service.keys.certificates import make_certificates

PLAIN = 'listen: {{address: "127.0.0.1:{port}"}}'
BATCH = "spiffe://example.com/batch"
CAREFUL = "spiffe://example.com/careful"
CERTIFICATES = """\
identity:
  embedded: true
  certificates:
    authority: FOLDER/clients.crt
    services:
      - {{name: "spiffe://example.com/batch", owner: olga, groups: [staff], scope: ["model:llama"]}}
      - {{name: "spiffe://example.com/careful", owner: olga, groups: [contractors], scope: ["model:*"]}}
      - {{name: "CN=legacy", owner: olga, groups: [staff], scope: ["model:llama"]}}
      - {{name: "spiffe://example.com/narrow", owner: olga, groups: [staff], scope: ["model:other"]}}
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs client certificates."""

    folder: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, folder: Path, file: str) -> Authority:
        key, name = ec.generate_private_key(ec.SECP256R1()), common_name(file)
        made = cls(folder, name, key)
        builder = made._builder(name, key.public_key(), days=(-2, 2)).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        folder.mkdir(exist_ok=True)
        (folder / f"{file}.crt").write_bytes(
            builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return made

    def sign(
        self, file: str, *uris: str, common: str = "client", days: tuple[float, float] = (-1, 1)
    ) -> Path:
        """A certificate with its key, in one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(common_name(common), key.public_key(), days=days)
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        path = self.folder / f"{file}.pem"
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + builder.sign(self.key, hashes.SHA256()).public_bytes(pem))
        return path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: tuple[float, float]
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        first, last = (now + datetime.timedelta(days=day) for day in days)
        return builder.not_valid_before(first).not_valid_after(last)


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    make_certificates(found / "own", ["127.0.0.1"], days=2)
    return found


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.new(folder, "clients")


@pytest.fixture(scope="module")
def stack(folder: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    tls = f"tls: {{{{cert: {folder}/own/service.crt, key: {folder}/own/service.key}}}}"
    config = CONFIG.replace(PLAIN, PLAIN.replace("}}", f", {tls}}}}}"))
    config = config.replace("identity: {{embedded: true}}\n", CERTIFICATES.replace("FOLDER", str(folder)))
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running


def ask(
    stack: Stack, folder: Path, shown: Path | None, headers: dict[str, str] | None = None
) -> httpx.Response:
    """A request over a connection of its own."""
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, json=CHAT, headers=headers, verify=trust(folder, shown), timeout=60)


def trust(folder: Path, shown: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "own" / "authority.crt")
    if shown is not None:
        context.load_cert_chain(shown)
    return context


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_service_is_known_by_its_spiffe_id_and_is_on_record(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    answer = ask(stack, folder, authority.sign("batch", BATCH))
    assert answer.status_code == 200
    caller = stack.session(answer.headers["x-authz-session"])["caller"]
    assert (caller["subject"], caller["groups"]) == (BATCH, ["staff"])


def test_a_service_without_a_uri_is_known_by_its_subject(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    assert ask(stack, folder, authority.sign("legacy", common="legacy")).status_code == 200


def test_what_its_scope_has_not_is_refused(stack: Stack, folder: Path, authority: Authority) -> None:
    shown = authority.sign("narrow", "spiffe://example.com/narrow")
    assert refusal(ask(stack, folder, shown)) == (403, "out_of_scope")


@pytest.mark.parametrize(
    ("uris", "common", "code"),
    [
        (["spiffe://example.com/other"], "client", "unknown_certificate"),
        (["spiffe://example.com/batch/more"], "client", "unknown_certificate"),
        (["SPIFFE://example.com/batch"], "client", "unknown_certificate"),
        (["https://example.com"], "legacy", "unknown_certificate"),  # a URI comes before the subject
        ([BATCH, CAREFUL], "client", "malformed_certificate"),
        ([], "legacy,CN=x", "unknown_certificate"),
    ],
)
def test_a_good_certificate_of_nobody_who_is_listed_is_refused(
    stack: Stack, folder: Path, authority: Authority, uris: list[str], common: str, code: str
) -> None:
    assert refusal(ask(stack, folder, authority.sign("nobody", *uris, common=common))) == (401, code)


def test_a_certificate_of_another_authority_ends_the_handshake(stack: Stack, folder: Path) -> None:
    other = Authority.new(folder, "other")
    with pytest.raises(httpx.TransportError):
        ask(stack, folder, other.sign("forged", BATCH))


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
def test_an_expired_or_future_certificate_ends_the_handshake(
    stack: Stack, folder: Path, authority: Authority, days: tuple[int, int]
) -> None:
    with pytest.raises(httpx.TransportError):
        ask(stack, folder, authority.sign("old", BATCH, days=days))


def test_headers_that_claim_a_certificate_are_nobodys_and_reach_no_model(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    claim = {"x-forwarded-client-cert": f"By=spiffe://gateway;URI={BATCH}"}
    assert refusal(ask(stack, folder, None, claim)) == (401, "missing_token")
    shown = authority.sign("unlisted", "spiffe://example.com/unlisted")
    assert refusal(ask(stack, folder, shown, claim)) == (401, "unknown_certificate")
    assert ask(stack, folder, authority.sign("batch", BATCH), claim).status_code == 200
    names = {name.lower() for request in stack.upstream.requests for name, _ in request.headers}
    assert names
    assert "x-forwarded-client-cert" not in names


def test_a_certificate_and_a_token_are_two_credentials(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    headers = {"authorization": f"Bearer {stack.token('alice', 'staff')}"}
    shown = authority.sign("batch", BATCH)
    assert refusal(ask(stack, folder, shown, headers)) == (401, "ambiguous_credentials")
    assert ask(stack, folder, None, headers).status_code == 200


def test_a_subject_that_was_withdrawn_is_refused_until_it_is_restored(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    shown = authority.sign("batch", BATCH)
    named = ("--issuer", "urn:authz:certificates", "--subject", BATCH, "--reason", "lost")
    stack.cli("token", "revoke", *named)
    assert refusal(ask(stack, folder, shown)) == (401, "token_revoked")
    stack.cli("token", "restore", *named)
    assert ask(stack, folder, shown).status_code == 200


def test_the_owner_cannot_vote_on_what_the_service_asks_and_others_can(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    shown = authority.sign("careful", CAREFUL)
    asking = in_background(lambda: ask(stack, folder, shown))
    hold = hold_of(stack, CAREFUL)
    said = approve(stack, hold, check=5, token=reviewer(stack, "olga"))
    assert "cannot decide on it" in said, json.dumps(said)
    approve(stack, hold)
    assert asking.result(60).status_code == 200


def kept_open(stack: Stack, folder: Path, authority: Authority, *, lasts: int = 8) -> httpx.Client:
    """A client whose one connection was opened, and answered on, with a certificate that ends soon.

    Where it ended before that, as on a machine that stood still, the next one lasts longer.
    """
    shown = authority.sign("short", BATCH, days=(-1, lasts / 86400))
    limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
    client = httpx.Client(verify=trust(folder, shown), timeout=60, limits=limits)
    with suppress(httpx.TransportError):
        if client.post(f"{stack.url}/v1/chat/completions", json=CHAT).status_code == 200:
            return client
    client.close()
    assert lasts < 60
    return kept_open(stack, folder, authority, lasts=3 * lasts)


def test_a_certificate_that_ends_under_an_open_connection_is_refused_on_it(
    stack: Stack, folder: Path, authority: Authority
) -> None:
    deadline = time.monotonic() + 100
    with closing(kept_open(stack, folder, authority)) as client:
        while True:
            seen = len(stack.upstream.requests)
            answer = client.post(f"{stack.url}/v1/chat/completions", json=CHAT)
            if answer.status_code != 200:
                break
            assert time.monotonic() < deadline
        # A new connection would have failed before any answer: Envoy takes no certificate that has ended.
        assert refusal(answer) == (401, "certificate_expired")
        assert len(stack.upstream.requests) == seen
