"""A gateway whose people come by SAML, and a browser that logs in there."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.stack import CONFIG, free_port
from tests.identity.saml_idp import Say, asked, is_signed, metadata, posted, response, sign


@dataclass(frozen=True)
class Corp:
    """The provider `corp` of a gateway whose listener is at `url`."""

    url: str

    @property
    def issuer(self) -> str:
        """The `iss` of its people's tokens."""
        return f"{self.url}/saml/corp"

    def say(self, request: str | None, subject: str, *groups: str, **changes: Any) -> Say:
        """What it says of somebody."""
        plain: dict[str, Any] = {
            "audience": f"{self.issuer}/metadata",
            "recipient": f"{self.issuer}/acs",
            "in_response_to": request,
            "now": time.time(),
            "id": f"_{secrets.token_hex(8)}",
            "subject": subject,
            "attributes": {"groups": groups, "mail": (f"{subject}@example.com",)},
        }
        return Say(**(plain | changes))

    def browse(self, url: str, subject: str, *groups: str, **changes: Any) -> httpx.Response:
        """Follow the command's link, log in, and bring the answer back; where the browser is sent last."""
        begun = httpx.get(url, timeout=60)
        assert begun.status_code == 303, begun.text
        where = begun.headers["location"]
        assert is_signed(where, httpx.get(f"{self.issuer}/metadata", timeout=60).content)
        request = asked(where).get("ID")
        return self.bring(self.say(request, subject, *groups, **changes), request)

    def bring(self, say: Say, request: str) -> httpx.Response:
        """What the browser posts."""
        document = response(sign(say.text()), destination=f"{self.issuer}/acs", in_response_to=request)
        form = {"SAMLResponse": posted(document), "RelayState": "https://evil.example.com/"}
        return httpx.post(f"{self.issuer}/acs", data=form, timeout=60)


def saml_config(folder: Path, corp: Corp, *, provider: str = "person: mail", more: str = "") -> str:
    """`CONFIG` with it; writes its metadata beside the file. `more` are other keys of `identity`.

    It logs in nobody whose request is not signed.
    """
    (folder / "corp.xml").write_bytes(metadata(more='WantAuthnRequestsSigned="true"'))
    listed = (
        "{name: corp, entity_id: 'https://idp.example.com/saml', metadata: corp.xml, audience: llm-gateway,"
        f" groups_cut: 0, {provider}}}"
    )
    identity = f"{{saml: [{listed}]{more}}}"
    listen = corp.url.removeprefix("http://")
    login = f'login: {{url: "{corp.url}", listen: {{address: "{listen}"}}}}\n'
    text = CONFIG.replace("{{embedded: true}}", _escaped(identity))
    return text + _escaped(login)


def new_corp() -> Corp:
    """At a port that nobody listens on."""
    return Corp(f"http://127.0.0.1:{free_port()}")


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
