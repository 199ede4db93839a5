"""Logins by SAML, from the command that begins one to the code that it gets; each answer goes on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson
from cryptography import x509

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.identity_values import SamlProvider
from authz_service.config.model import Config
from authz_service.core.entries import caller_payload
from authz_service.core.used_once import UNTIL, USED, OnceStore, once
from authz_service.errors import AuthzError, Conflict, NotFound
from authz_service.identity.claims import caller
from authz_service.identity.saml.assertion import Assertion, Expected, read_assertion
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.own_metadata import Own
from authz_service.identity.saml.person import claims_of_person
from authz_service.identity.saml.providers import MetadataSource
from authz_service.identity.saml.request import LIFE, Login, opened, request_id, sign_on_url
from authz_service.identity.saml.request_signer import RequestSigner
from authz_service.identity.saml.response import decoded, in_response_to, signed_assertion
from authz_service.identity.saml.xml import Element
from authz_service.identity.trust import saml_claims
from authz_service.view.caller import Caller

CODE_LIFE: Final = 60.0
"""Seconds that a command has to exchange its code."""
AT_ONCE: Final = 4
"""Messages that are read, or signed, at once, in threads; others wait."""

MOST_REFUSED: Final = 10_000
"""Refusals that are told from new ones; of older ones there may be a second entry."""

Verify = Callable[[Sequence[x509.Certificate]], Element]


class LoginStore(OnceStore, Protocol):
    """What is asked of the store."""

    def append(self, *drafts: EntryDraft) -> Awaitable[object]:
        """Record entries."""
        ...


@dataclass(frozen=True, slots=True)
class Trusted:
    """A provider as it is used. `own` are our addresses for it."""

    settings: SamlProvider
    own: Own
    source: MetadataSource


class Refused(Exception):
    """A login was refused, and the command that began it can be told: at `redirect`, with the cause."""

    def __init__(self, redirect: str) -> None:
        super().__init__("a login was refused")
        self.redirect = redirect


@dataclass(frozen=True, slots=True)
class SamlLogins:
    """What the listener for browsers asks. `clock` is in seconds since the epoch.

    `count` takes the refusal of a message that nobody known has signed: where it came from, and the code.
    `refused` are digests of what was refused lately, by entries. `signer` signs requests to providers that
    take no others.
    """

    config: Config
    providers: Mapping[str, Trusted]
    box: Box
    store: LoginStore
    count: Callable[[str, str], None]
    pseudonym: Callable[[tuple[str, str]], str]
    signer: RequestSigner
    clock: Callable[[], float] = time.time
    refused: dict[str, None] = field(default_factory=dict)
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def trusted(self, name: str) -> Trusted:
        """The provider of that name; raises `NotFound`."""
        found = self.providers.get(name)
        if found is None:
            raise NotFound("there is no identity provider of this name here")
        return found

    async def begin(self, name: str, login: Login) -> str:
        """Where the browser goes to log in; raises `Unavailable` without the provider's metadata."""
        trusted = self.trusted(name)
        metadata = await trusted.source.current()
        identifier = request_id(self.box, name, login)
        own, settings = trusted.own, trusted.settings
        is_signed = settings.sign_requests or metadata.wants_signed_requests
        url = partial(
            sign_on_url,
            metadata.sign_on,
            identifier,
            entity_id=own.entity_id,
            consumer=own.consumer,
            now=self.clock(),
            name_format=settings.name_format if settings.subject is None else None,
            is_anew=login.door.needs_person,
            signer=self.signer if is_signed else None,
        )
        if not is_signed:
            return url()
        async with self.reading:  # anybody may ask, and a signature takes milliseconds
            return await asyncio.to_thread(url)

    async def answer(self, name: str, response: str, *, peer: str) -> str:
        """Where the browser goes with a code; raises `Refused` once it is known whose login this is.

        Before that an `AuthzError`. What the browser sends beside the response (RelayState) is not read:
        where it goes, the ID of our request says, which only we can have made.
        """
        trusted = self.trusted(name)
        try:
            async with self.reading:
                root, identifier = await asyncio.to_thread(lambda: in_response_to(decoded(response)))
            login = opened(self.box, name, identifier, now=self.clock())
        except AuthzError as error:
            self.count(peer, error.code)
            raise
        try:
            code = await self._accepted(trusted, login, root, identifier, peer)
        except AuthzError as error:
            raise Refused(
                _with(login, trusted, {**_oauth(error), "error_description": str(error)})
            ) from error
        return _with(login, trusted, {"code": code})

    async def verified(self, trusted: Trusted, verify: Verify, *, peer: str) -> Element:
        """What is signed with a key of the provider; a refusal is counted.

        A signature that is not good may be by a key that the provider has taken since.
        """
        metadata = await trusted.source.current()
        try:
            try:
                return await self._read(verify, metadata.certificates)
            except AuthzError as error:
                is_of_key = error.code == "saml_bad_signature"
                newer = await trusted.source.renewed(metadata) if is_of_key else None
                if newer is None:
                    raise
            return await self._read(verify, newer.certificates)
        except AuthzError as error:
            self.count(peer, error.code)
            raise

    async def _read(self, verify: Verify, certificates: Sequence[x509.Certificate]) -> Element:
        async with self.reading:  # not while metadata is fetched: others would wait for a slow provider
            return await asyncio.to_thread(verify, certificates)

    async def refuse(self, trusted: Trusted, door: str, error: AuthzError, *, what: str, peer: str) -> None:
        """Record that what the provider, or we, have signed was refused; raises what the store does.

        `what` tells it from others. Shown again it is counted: who has an old one could fill the record.
        """
        told = once("refused", trusted.settings.name, what, error.code)
        if told in self.refused:
            self.count(peer, error.code)
            return
        data = {"provider": trusted.settings.name, "door": door, "code": error.code}
        await self.store.append(EntryDraft(Kind.LOGIN_REFUSED, data=data))
        self.refused[told] = None
        if len(self.refused) > MOST_REFUSED:
            del self.refused[next(iter(self.refused))]

    def who(self, trusted: Trusted, claims: Mapping[str, Any], until: float) -> Caller:
        """Whom a token with these claims speaks for, read as the verifier will read it."""
        issuer = trusted.own.issuer
        groups, person = saml_claims(trusted.settings)
        return caller({**claims, "iss": issuer}, expires_at=until, groups=groups, person=person)

    def entry(
        self,
        kind: Kind,
        trusted: Trusted,
        door: str,
        who: Caller,
        used: Sequence[str],
        until: float,
        **more: str,
    ) -> EntryDraft:
        """What is recorded of one who was let in; names are in its payload."""
        data: dict[str, Any] = {
            "provider": trusted.settings.name,
            "door": door,
            "caller": self.pseudonym(who.identity),
            USED: list(used),
            UNTIL: int(until) + 1,
            **more,
        }
        return EntryDraft(kind, data=data, payloads={"caller": caller_payload(who)}, subject=who.identity)

    async def _accepted(
        self, trusted: Trusted, login: Login, root: Element, identifier: str, peer: str
    ) -> str:
        settings, own = trusted.settings, trusted.own

        def verify(certificates: Sequence[x509.Certificate]) -> Element:
            return signed_assertion(
                root, entity_id=settings.entity_id, destination=own.consumer, certificates=certificates
            )

        signed = await self.verified(trusted, verify, peer=peer)
        now, door = self.clock(), login.door
        expected = Expected(
            settings.entity_id,
            own.entity_id,
            own.consumer,
            identifier,
            now,
            logged_in_after=login.ends - LIFE if door.needs_person else None,
        )
        try:
            assertion = read_assertion(signed, expected)
            claims = claims_of_person(assertion, settings)
            until = ends(assertion, settings, now=now)
            who = self.who(trusted, claims, until)
            used = [assertion_digest(settings, assertion), once("login", identifier)]
            # Remembered as long as either could come again.
            kept = max(assertion.ends, login.ends)
            await self.store.use_once(
                self.entry(Kind.LOGIN_ACCEPTED, trusted, door.name.lower(), who, used, kept)
            )
        except AuthzError as error:
            found = replayed() if isinstance(error, Conflict) else error
            await self.refuse(trusted, door.name.lower(), found, what=signed.get("ID"), peer=peer)
            raise found from error
        return self._code(trusted, login, claims, until=until, now=now)

    def _code(
        self, trusted: Trusted, login: Login, claims: Mapping[str, Any], *, until: float, now: float
    ) -> str:
        told = {
            "claims": claims,
            "door": login.door,
            "redirect": login.redirect,
            "challenge": login.challenge.hex(),
            "until": until,
            "ends": now + CODE_LIFE,
        }
        return self.box.seal(f"code {trusted.settings.name}", orjson.dumps(told))


def ends(assertion: Assertion, settings: SamlProvider, *, now: float) -> float:
    """When a token ends: after the configured time, or with the provider's session."""
    limit = now + settings.lifetime
    return limit if assertion.session_ends is None else min(limit, assertion.session_ends)


def assertion_digest(settings: SamlProvider, assertion: Assertion) -> str:
    """What an assertion is remembered by."""
    return once("assertion", settings.entity_id, assertion.id)


def replayed() -> Conflict:
    """The refusal of what was used before."""
    return Conflict(
        "this SAML assertion, or this login, was used already; log in again", code="saml_replayed"
    )


def _oauth(error: AuthzError) -> dict[str, str]:
    """RFC 6749 4.1.2.1."""
    return {"error": "temporarily_unavailable" if error.status == 503 else "access_denied"}


def _with(login: Login, trusted: Trusted, answer: Mapping[str, str]) -> str:
    # `iss`: the command can tell who answers (RFC 9207).
    return f"{login.redirect}?{urlencode({**answer, 'state': login.state, 'iss': trusted.own.issuer})}"
