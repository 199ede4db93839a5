"""samlp as a process, and a person's browser there."""

from __future__ import annotations

import base64
import html
import re
import subprocess
from pathlib import Path
from typing import Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from tests.e2e.people import until
from tests.e2e.stack import free_port
from tests.identity.saml_idp import signer
from tests.saml.setup_provider import PROVIDER, SERVER


class SamlProvider:
    """`with SamlProvider(folder, issuer=...) as provider:` runs it, for our `issuer`."""

    def __init__(self, folder: Path, *, issuer: str) -> None:
        self._folder, self._issuer = folder, issuer
        self.url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def entity_id(self) -> str:
        """By which its metadata names it."""
        return f"{self.url}/entity"

    def __enter__(self) -> Self:
        mine = signer("samlp")
        files = {"key": _private(mine.private), "key.pub": _public(mine.private), "cert": mine.pem.encode()}
        for name, content in files.items():
            (self._folder / name).write_bytes(content)
        port = self.url.rpartition(":")[2]
        paths = [str(self._folder / name) for name in ("key", "cert")]
        command = ["node", str(SERVER), port, *paths, f"{self._issuer}/acs", f"{self._issuer}/metadata"]
        log = self._folder / "provider.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=PROVIDER
            )
        until(self._answers, f"the provider answers: {log.read_text()}")
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def browse(self, url: str, login: str, *, how: str = "good") -> httpx.Response:
        """Follow the command's link, log in at the provider, send the form that it answers with."""
        begun = httpx.get(url, timeout=10)
        assert begun.status_code == 303, begun.text
        where = f"{begun.headers['location']}&login={login}&how={how}"
        return submitted(httpx.get(where, timeout=10))

    def know(self, us: bytes) -> None:
        """Take the key for signatures of requests from our metadata."""
        der = base64.b64decode(etree.fromstring(us).findtext(".//{*}KeyDescriptor//{*}X509Certificate"))
        pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
        (self._folder / "cert.us").write_bytes(pem)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/metadata", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def submitted(page: httpx.Response) -> httpx.Response:
    """Send a page's form, as the script in it has a browser do."""
    action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    assert action, page.text
    fields = re.findall(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', page.text)
    form = {name: html.unescape(value) for name, value in fields}
    assert form["SAMLResponse"], page.text
    return httpx.post(html.unescape(action[1]), data=form, timeout=10)


def _private(key: object) -> bytes:
    made: bytes = key.private_bytes(  # type: ignore[attr-defined]  # RSA's, which has no common type here
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made


def _public(key: object) -> bytes:
    public = key.public_key()  # type: ignore[attr-defined]  # the same
    made: bytes = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made
