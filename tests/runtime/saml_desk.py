"""A listener for logins by SAML over a real store, and somebody with a browser and a command."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from tests.e2e.stack import free_port
from tests.identity.saml_idp import Say, asked, metadata, posted, response, sign

from authz_service.cel.load import load_config
from authz_service.config.identity_values import LoginListener
from authz_service.config.model import Config
from authz_service.identity.download import new_client
from authz_service.identity.saml.request_signer import RequestSigner, new_signer
from authz_service.identity.saml.tokens import TokenSigner
from authz_service.identity.trust import verifier_from
from authz_service.identity.verifier import Verifier
from authz_service.runtime.saml_serving import saml_grants
from authz_service.servers.saml_http import SamlListener
from authz_service.store.sql_store import SqlStore

SECRET = b"s" * 32
SIGNER = RequestSigner.of(new_signer(datetime.now(UTC)))
REDIRECT = "http://127.0.0.1:4711/callback"
SAML2 = "urn:ietf:params:oauth:grant-type:saml2-bearer"
PROVIDER = "person: mail, batch: {scope: scope, owner: owner}"


def config_of(folder: Path, *, provider: str = PROVIDER, port: int = 0) -> Config:
    """One provider, `corp`; its metadata is in a file."""
    port = port or free_port()
    (folder / "corp.xml").write_bytes(metadata())
    path = folder / "authz.yaml"
    path.write_text(f"""\
version: 1
models: [{{name: llama, url: "http://127.0.0.1:8000"}}]
identity:
  saml:
    - {{name: corp, entity_id: "https://idp.example.com/saml", metadata: corp.xml, audience: llm-gateway,
       groups_cut: 0, {provider}}}
login: {{url: "http://127.0.0.1:{port}", listen: {{address: "127.0.0.1:{port}"}}}}
""")
    return load_config(path).config


@dataclass
class SamlDesk:
    """What is asked of one replica. `counted` are refusals of messages that nobody known has signed."""

    config: Config
    client: httpx.AsyncClient
    offset: float = 0.0
    counted: list[str] = field(default_factory=list)

    @property
    def listener(self) -> LoginListener:
        """Where it is."""
        assert self.config.logins.listener is not None
        return self.config.logins.listener

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""
        return self.config.identity.saml[0].issuer(self.listener)

    def clock(self) -> float:
        """As tests turn it."""
        return time.time() + self.offset

    def verifier(self) -> Verifier:
        """What the gateway and the review API ask."""
        made = (self.listener, TokenSigner(SECRET).key)
        return verifier_from(self.config.identity, self.config.review, embedded=None, saml=made)

    async def begin(self, door: str = "review", **changes: str | None) -> Begun:
        """What a command and its browser do first."""
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": f"authz-{door}",
            "redirect_uri": REDIRECT,
            "scope": "",
            "state": "state-1",
            "nonce": "n",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        query = {name: value for name, value in (query | changes).items() if value is not None}
        answer = await self.client.get(f"{self.issuer}/authorize", params=query)
        return Begun(answer, verifier, f"authz-{door}")

    def say(self, begun: Begun, **changes: Any) -> Say:
        """What a provider says of alice, in answer to a login."""
        plain: dict[str, Any] = {
            "audience": f"{self.issuer}/metadata",
            "recipient": f"{self.issuer}/acs",
            "in_response_to": begun.request,
            "now": self.clock(),
            "id": f"_{secrets.token_hex(8)}",
            "attributes": {"groups": ("staff", "reviewers"), "mail": ("Alice@Example.com",)},
        }
        return Say(**(plain | changes))

    async def post(self, say: Say, begun: Begun, *, more: Mapping[str, str] | None = None) -> httpx.Response:
        """What the browser brings back."""
        document = response(sign(say.text()), destination=f"{self.issuer}/acs", in_response_to=begun.request)
        form = {"SAMLResponse": posted(document), **(more or {})}
        return await self.client.post(f"{self.issuer}/acs", data=form)

    async def exchange(self, code: str, begun: Begun, **changes: str) -> httpx.Response:
        """What the command does last."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": begun.verifier,
            "client_id": begun.client,
        }
        return await self.client.post(f"{self.issuer}/token", data=form | changes)

    async def log_in(self, door: str = "review", **changes: Any) -> str:
        """All of it; the token."""
        begun = await self.begin(door)
        landed = landing(await self.post(self.say(begun, **changes), begun))
        assert "code" in landed, landed
        answer = await self.exchange(landed["code"], begun)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@dataclass(frozen=True)
class Begun:
    """A login that has begun; `answer` sends the browser to the provider."""

    answer: httpx.Response
    verifier: str
    client: str

    @property
    def request(self) -> str:
        """The ID of what the browser brings to the provider."""
        return str(asked(self.answer.headers["location"]).get("ID"))


@asynccontextmanager
async def desk_of(config: Config, store: SqlStore) -> AsyncIterator[SamlDesk]:
    """A replica that serves."""
    async with new_client() as outward, httpx.AsyncClient(timeout=60) as client:
        desk = SamlDesk(config, client)
        grants = saml_grants(
            config,
            desk.listener,
            SECRET,
            SIGNER,
            store=store,
            count=lambda _peer, code: desk.counted.append(code),
            pseudonym=lambda identity: hashlib.sha256(repr(identity).encode()).hexdigest()[:16],
            client=outward,
            clock=desk.clock,
        )
        async with SamlListener(desk.listener, grants).serve():
            yield desk


def landing(answer: httpx.Response) -> dict[str, str]:
    """What came to the command on its loopback."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    where = answer.headers["location"]
    assert where.startswith(f"{REDIRECT}?"), where
    return {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def told(body: bytes) -> dict[str, Any]:
    """An entry as JSON."""
    found: dict[str, Any] = json.loads(body)
    return found
