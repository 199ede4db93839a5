"""oidc-provider as a process, and what its clients and a person with a browser do there."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from tests.e2e.people import until
from tests.e2e.stack import free_port
from tests.oidc.setup_provider import PROVIDER, SERVER

AUDIENCE = "llm-gateway"
CALLBACK = "http://127.0.0.1/callback"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class OidcProvider:
    """`with OidcProvider(folder) as provider:` runs it.

    Whoever logs in is in the groups that follow the dot in their name: `alice.staff.leads`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._private: dict[str, dict[str, Any]] = {}
        self.issuer = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.publish("one")
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def publish(self, *names: str) -> None:
        """Have these keys, made when they are new; the first one signs. A running provider takes them in."""
        for name in names:
            if name not in self._private:
                made = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
                made.pop("key_ops", None)
                self._private[name] = made | {"kid": name, "use": "sig", "alg": "RS256"}
        keys = [self._private[name] for name in names]
        (self._folder / "keys.json").write_text(json.dumps({"keys": keys}))
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)
            until(lambda: self._published() == set(names), "the provider has its new keys")

    def start(self) -> None:
        """Run it and wait until it answers."""
        command = ["node", str(SERVER), str(self._port), str(self._folder / "keys.json"), AUDIENCE]
        with (self._folder / "provider.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=PROVIDER
            )
        until(self._published, f"the provider answers: {(self._folder / 'provider.log').read_text()}")

    def kill(self) -> None:
        """End it where it stands."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def by_client_credentials(self, scope: str = "model:llama") -> str:
        """The access token of a service, `batch.staff`."""
        form = {"grant_type": "client_credentials", "scope": scope}
        return self._token(form, auth=("batch.staff", "batch-secret"))

    def by_code(self, name: str, *, kind: str = "access_token") -> str:
        """A token of a person who logged in with a browser (RFC 6749 4.1, PKCE)."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = {"client_id": "web", "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid"}
        query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        with Browser(self.issuer) as browser:
            landed = browser.log_in(browser.get("/auth", query), name)
        code = parse_qs(urlsplit(landed).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": "web",
        }
        return self._token(form | {"code_verifier": verifier}, kind=kind)

    def by_device(self, name: str) -> str:
        """The access token of a person at a terminal, who confirmed it in a browser (RFC 8628)."""
        form = {"client_id": "terminal", "scope": "openid"}
        device = httpx.post(f"{self.issuer}/device/auth", data=form, timeout=10).raise_for_status().json()
        with Browser(self.issuer) as browser:
            page = browser.get("/device", {"user_code": device["user_code"]})
            browser.log_in(browser.submit(page, {"user_code": device["user_code"], "confirm": "yes"}), name)
        form = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"], "client_id": "terminal"}
        return self._token(form)

    def _token(
        self, form: dict[str, str], *, auth: tuple[str, str] | None = None, kind: str = "access_token"
    ) -> str:
        answer = httpx.post(f"{self.issuer}/token", data=form, auth=auth, timeout=10)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()[kind]
        return token

    def _published(self) -> set[str]:
        try:
            keys = httpx.get(f"{self.issuer}/jwks", timeout=5).json()["keys"]
        except httpx.TransportError:
            return set()
        return {key["kid"] for key in keys}


class Browser:
    """Follows redirects within the provider, keeps its cookies, and fills in its forms."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._client = httpx.Client(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    def get(self, path: str, query: dict[str, str]) -> httpx.Response:
        """A page of the provider's."""
        return self._followed(self._client.get(f"{self._issuer}{path}", params=query))

    def open(self, url: str) -> httpx.Response:
        """A page by its whole address."""
        return self._followed(self._client.get(url))

    def submit(self, page: httpx.Response, fields: dict[str, str]) -> httpx.Response:
        """Send the form of a page with these fields and the hidden ones."""
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        assert action, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        url = urljoin(str(page.url), action[1].replace("&amp;", "&"))
        return self._followed(self._client.post(url, data=hidden | fields))

    def log_in(self, page: httpx.Response, name: str) -> str:
        """Log in and consent; where the browser was sent in the end."""
        while page.is_success and 'name="prompt"' in page.text:
            prompt = re.search(r'name="prompt" value="([a-z]+)"', page.text)
            assert prompt, page.text
            is_login = prompt[1] == "login"
            page = self.submit(page, {"login": name, "password": "any"} if is_login else {})
        assert page.is_success or page.is_redirect, page.text
        return str(page.headers.get("location", page.url))

    def _followed(self, page: httpx.Response) -> httpx.Response:
        while page.is_redirect:
            url = urljoin(str(page.url), page.headers["location"])
            if not url.startswith(f"{self._issuer}/"):
                break
            page = self._client.get(url)
        return page
