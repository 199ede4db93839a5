"""Asks each issuer for its keys and each directory for nobody's groups, for `authz doctor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.identity_values import Issuer, Lookup
from authz_service.errors import AuthzError
from authz_service.identity.claims import LEEWAY
from authz_service.identity.directory import UnknownMember, Unusable
from authz_service.identity.download import new_client, reason
from authz_service.identity.key_cache import Fetched
from authz_service.identity.keys import read_jwks
from authz_service.identity.trust import directory_of, key_server

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Whom no directory knows: that it says so shows that it can be asked."""
PATIENCE = 10.0


def check_issuers(issuers: Sequence[Issuer]) -> Iterator[Finding]:
    """Keys must be there, and fit; clocks must agree; a person must not be two."""
    yield from asyncio.run(_all(issuers))
    named = [issuer.person is not None for issuer in issuers]
    if len(issuers) > 1 and not all(named):
        message = "one person with accounts at two issuers counts as two, and could approve their own request"
        step = "name the claim that is the same at all of them: identity.issuers[].person"
        yield Finding("issuers", Status.WARN, message, step)


async def _all(issuers: Sequence[Issuer]) -> list[Finding]:
    async with new_client() as client:
        return [finding for issuer in issuers for finding in await _issuer(issuer, client)]


async def _issuer(issuer: Issuer, client: httpx.AsyncClient) -> list[Finding]:
    name = f"issuer {issuer.url}"
    try:
        async with asyncio.timeout(PATIENCE):
            fetched = await _keys(issuer, client)
    except Exception as error:  # of whatever kind: what a server says is never repeated
        why = str(error) if isinstance(error, AuthzError) else reason(error)
        step = "correct jwks or url, or see why the provider does not answer"
        return [Finding(name, Status.FAIL, f"its keys cannot be had ({why})", step)]
    findings = [_fitting(name, issuer, fetched), *_clock(name, fetched)]
    if issuer.lookup is not None:
        findings.append(await _lookup(name, issuer.lookup, client))
    return findings


async def _keys(issuer: Issuer, client: httpx.AsyncClient) -> Fetched:
    server = key_server(issuer, client)
    return await server.fetch() if server else Fetched(read_jwks(Path(issuer.jwks).read_bytes()))


def _fitting(name: str, issuer: Issuer, fetched: Fetched) -> Finding:
    fitting = [key for key in fetched.keys if any(key.fits(name) for name in issuer.algorithms)]
    algorithms = ", ".join(issuer.algorithms)
    if fitting:
        count = "1 key" if len(fitting) == 1 else f"{len(fitting)} keys"
        return Finding(name, Status.OK, f"{count} for {algorithms}")
    message = f"none of its {len(fetched.keys)} keys can be used with {algorithms}"
    return Finding(
        name, Status.FAIL, message, "list the algorithms that the provider signs access tokens with"
    )


def _clock(name: str, fetched: Fetched) -> Iterator[Finding]:
    try:
        apart = parsedate_to_datetime(fetched.date).timestamp() - time.time()
    except ValueError:
        return  # no server, or one that does not say
    if abs(apart) > LEEWAY:
        direction = "ahead of" if apart > 0 else "behind"
        message = f"its clock is {abs(apart):.0f} s {direction} this machine's; {LEEWAY:.0f} are allowed for"
        yield Finding(name, Status.WARN, message, "set this machine's clock (NTP)")


async def _lookup(name: str, lookup: Lookup, client: httpx.AsyncClient) -> Finding:
    check = f"{name}, groups"
    try:
        async with asyncio.timeout(PATIENCE):
            await directory_of(lookup, client).groups_of(NOBODY)
    except UnknownMember:
        return Finding(check, Status.OK, "the directory answers")
    except Exception as error:
        why = str(error) if isinstance(error, AuthzError | Unusable) else reason(error)
        step = "see its permissions, and lookup in the configuration"
        return Finding(check, Status.FAIL, f"the directory cannot be asked ({why})", step)
    return Finding(check, Status.OK, "the directory answers")
