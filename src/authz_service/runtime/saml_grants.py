"""The token endpoint: a token for a login's code, or for a batch client's assertion (RFC 7522)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography import x509

from authz_service.audit.draft import Kind
from authz_service.core.used_once import once
from authz_service.errors import AuthzError, Conflict, Unauthenticated, Unreadable
from authz_service.identity.saml.assertion import Expected, read_assertion
from authz_service.identity.saml.person import claims_of_service
from authz_service.identity.saml.response import bare_assertion, decoded
from authz_service.identity.saml.tokens import Door, TokenSigner
from authz_service.identity.saml.xml import Element
from authz_service.runtime.saml_logins import SamlLogins, Trusted, assertion_digest, ends, replayed

CODE: Final = "authorization_code"
ASSERTION: Final = "urn:ietf:params:oauth:grant-type:saml2-bearer"
BATCH: Final = "batch"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and for how many seconds it is good."""

    token: str
    lifetime: int


@dataclass(frozen=True, slots=True)
class SamlGrants:
    """What the token endpoint asks. Every token is on record before anybody has it."""

    logins: SamlLogins
    signer: TokenSigner

    async def grant(self, name: str, form: Mapping[str, str], *, peer: str) -> Granted:
        """A token for a grant of either kind; raises `AuthzError`, `invalid_grant` for what is not good."""
        trusted = self.logins.trusted(name)
        kind = form.get("grant_type", "")
        if kind == CODE:
            return await self._for_code(trusted, form, peer)
        if kind == ASSERTION and trusted.settings.batch is not None:
            return await self._for_assertion(trusted, form, peer)
        raise Unreadable("this grant_type is not offered here", code="unsupported_grant_type")

    async def _for_code(self, trusted: Trusted, form: Mapping[str, str], peer: str) -> Granted:
        logins, code = self.logins, form.get("code", "")
        content = logins.box.open(f"code {trusted.settings.name}", code)
        told: dict[str, Any] = {} if content is None else orjson.loads(content)
        if not told or not _fits(told, form, now=logins.clock()):
            logins.count(peer, "invalid_grant")
            raise _invalid("the code is not good, or not for this login, or over a minute old; log in again")
        claims, door, until = told["claims"], Door(told["door"]), told["until"]
        used = [once("code", code)]
        try:
            return await self._signed(trusted, claims, door, door.name.lower(), used, told["ends"], until)
        except Conflict as error:
            found = _invalid("the code was used already; log in again")
            await logins.refuse(trusted, door.name.lower(), found, what=used[0], peer=peer)
            raise found from error

    async def _for_assertion(self, trusted: Trusted, form: Mapping[str, str], peer: str) -> Granted:
        logins, settings, own = self.logins, trusted.settings, trusted.own
        assert settings.batch is not None  # looked at by `grant`
        assertion_text = form.get("assertion", "")

        def verify(certificates: Sequence[x509.Certificate]) -> Element:
            return bare_assertion(decoded(assertion_text), certificates)

        signed = await logins.verified(trusted, verify, peer=peer)
        now = logins.clock()
        # One that answers a login is for a browser, and would be good at both doors.
        expected = Expected(settings.entity_id, own.entity_id, own.token, None, now)
        try:
            assertion = read_assertion(signed, expected)
            claims = claims_of_service(assertion, settings, settings.batch)
            until = ends(assertion, settings, now=now)
            used = [assertion_digest(settings, assertion)]
            return await self._signed(trusted, claims, Door.GATEWAY, BATCH, used, assertion.ends, until)
        except AuthzError as error:
            found = replayed() if isinstance(error, Conflict) else error
            await logins.refuse(trusted, BATCH, found, what=signed.get("ID"), peer=peer)
            raise found from error

    async def _signed(
        self,
        trusted: Trusted,
        claims: Mapping[str, Any],
        door: Door,
        entry_door: str,
        used: Sequence[str],
        kept: float,
        until: float,
    ) -> Granted:
        logins = self.logins
        now = logins.clock()
        if now + 1 > until:
            raise Unauthenticated("the provider's session has ended; log in again", code="saml_expired")
        audience = door.audience(logins.config, trusted.settings)
        token, token_id = self.signer.sign(
            trusted.own.issuer, claims, audience=audience, now=now, until=until
        )
        who = logins.who(trusted, claims, until)
        entry = logins.entry(Kind.LOGIN_COMPLETED, trusted, entry_door, who, used, kept, jti=token_id)
        await logins.store.use_once(entry)
        return Granted(token, int(until) - int(now))


def _fits(told: Mapping[str, Any], form: Mapping[str, str], *, now: float) -> bool:
    """Whether who shows a code is the command that its login began with (RFC 7636 4.6)."""
    verifier = form.get("code_verifier", "")
    if _VERIFIER.fullmatch(verifier) is None or now >= told["ends"]:
        return False
    challenge = hashlib.sha256(verifier.encode()).hexdigest()
    is_same = (form.get("client_id"), form.get("redirect_uri")) == (told["door"], told["redirect"])
    return is_same and hmac.compare_digest(challenge, told["challenge"])


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, code="invalid_grant")


def challenge_of(text: str) -> bytes | None:
    """The 32 bytes of an S256 challenge (RFC 7636 4.2); None for anything else."""
    if re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is None:
        return None
    return base64.urlsafe_b64decode(text + "=")
