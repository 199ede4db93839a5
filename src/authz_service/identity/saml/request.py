"""What the browser takes to the provider. The state of the login is sealed in the request's ID.

So no replica keeps anything of a login that has begun, nobody can fill a table with them, and an assertion,
whose signature covers the ID that it answers, is bound to the very command that waits for it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from lxml import etree

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.request_signer import RequestSigner
from authz_service.identity.saml.tokens import Door
from authz_service.identity.saml.xml import ASSERTION, PROTOCOL, refused, tag

LIFE: Final = 600.0
"""Seconds that a person has to log in at the provider."""
LONGEST_STATE: Final = 128
POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

_HOSTS: Final = ("127.0.0.1", "localhost")
_LAYOUT: Final = struct.Struct(">IHBB32s")  # ends, port, host, door, challenge; then the state
_DOORS: Final = tuple(Door)


@dataclass(frozen=True, slots=True)
class Login:
    """One that has begun: at which door, and where the command waits for its answer, with which state.

    `challenge` is SHA-256 of the command's code verifier (RFC 7636 4.2), `ends` seconds since the epoch.
    """

    door: Door
    host: str
    port: int
    state: str
    challenge: bytes
    ends: float

    @property
    def redirect(self) -> str:
        """Where the browser goes at the end: this machine of its own (RFC 8252 7.3), and nowhere else."""
        return f"http://{self.host}:{self.port}/callback"


def request_id(box: Box, provider: str, login: Login) -> str:
    """An XML ID that only we can open, for this provider."""
    fixed = _LAYOUT.pack(
        int(login.ends), login.port, _HOSTS.index(login.host), _DOORS.index(login.door), login.challenge
    )
    return "_" + box.seal(f"request {provider}", fixed + login.state.encode())


def opened(box: Box, provider: str, identifier: str, *, now: float) -> Login:
    """The login of a request's ID; raises `Unauthenticated` for one that is not ours, or is over."""
    content = box.open(f"request {provider}", identifier[1:]) if identifier[:1] == "_" else None
    if content is None:
        raise refused("answers no login of ours: log in from here, not from the provider", "saml_unsolicited")
    ends, port, host, door, challenge = _LAYOUT.unpack_from(content)
    state = content[_LAYOUT.size :].decode()
    if now >= ends:
        raise _too_late()
    return Login(_DOORS[door], _HOSTS[host], port, state, challenge, float(ends))


def sign_on_url(
    sign_on: str,
    identifier: str,
    *,
    entity_id: str,
    consumer: str,
    now: float,
    name_format: str | None = None,
    is_anew: bool = False,
    signer: RequestSigner | None = None,
) -> str:
    """The provider's address with an AuthnRequest (SAML core 3.4.1) by the HTTP-Redirect binding (3.4).

    `name_format` asks for a NameID, `is_anew` for a login even within the provider's session. The browser can
    change all of it, or leave out a signature that the provider does not insist on, so whoever reads the
    answer checks.
    """
    root = etree.Element(tag(PROTOCOL, "AuthnRequest"), nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
    root.set("ID", identifier)
    root.set("Version", "2.0")
    root.set("IssueInstant", datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    root.set("Destination", sign_on)
    root.set("AssertionConsumerServiceURL", consumer)
    root.set("ProtocolBinding", POST)
    etree.SubElement(root, tag(ASSERTION, "Issuer")).text = entity_id
    if is_anew:
        root.set("ForceAuthn", "true")
    if name_format is not None:
        etree.SubElement(root, tag(PROTOCOL, "NameIDPolicy"), Format=name_format, AllowCreate="true")
    deflating = zlib.compressobj(wbits=-15)  # raw DEFLATE, without zlib's header
    packed = deflating.compress(etree.tostring(root)) + deflating.flush()
    joint = "&" if "?" in sign_on else "?"
    query = urlencode({"SAMLRequest": base64.b64encode(packed).decode()})
    return f"{sign_on}{joint}{query if signer is None else signer.signed(query)}"


def _too_late() -> Unauthenticated:
    return refused(f"answers a login that began over {LIFE / 60:.0f} minutes ago; log in again", "saml_late")
