"""The listener for logins by SAML: what browsers and commands ask of it, translated; it decides nothing."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import parse_qsl, urlsplit

import structlog
from aiohttp import web
from yarl import URL

from authz_service.config.identity_values import LoginListener
from authz_service.errors import AuthzError, Misconfigured, Unreadable
from authz_service.identity.saml.own_metadata import metadata_document
from authz_service.identity.saml.request import LIFE, LONGEST_STATE, Login
from authz_service.identity.saml.tokens import Door
from authz_service.runtime.saml_grants import ASSERTION, CODE, SamlGrants, challenge_of
from authz_service.runtime.saml_logins import Refused, SamlLogins
from authz_service.servers.saml_connections import MOST, PATIENCE, Connections
from authz_service.servers.saml_tls import EVERY, context_of, follow

LARGEST_BODY: Final = 256 * 1024
"""Bytes of a form: base64 makes a message a third longer."""
FORM_WITHIN: Final = 10.0
"""Seconds that a form may take to arrive."""
STOP_WITHIN: Final = 5.0
_CONNECTIONS: Final = web.AppKey("connections", Connections)
_FORM: Final = "application/x-www-form-urlencoded"
_STATE: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_STATE}}}")
_PAGE: Final = (
    "<!doctype html><meta charset=utf-8><title>authz</title>"
    "<p>{}<p>Code: <code>{}</code><p>You can close this window and log in again from the command."
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

log = structlog.get_logger(__name__)
_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class SamlListener:
    """Serves `grants`, and the logins that lead to them, at `listener`.

    It looks for a new certificate each `look` seconds, and has `most` connections at once; one that says
    nothing for `patience` seconds is ended.
    """

    listener: LoginListener
    grants: SamlGrants
    look: float = EVERY
    most: int = MOST
    patience: float = PATIENCE

    @property
    def logins(self) -> SamlLogins:
        """Those that the grants are for."""
        return self.grants.logins

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listen within the context; yields host and port. Raises `Misconfigured` when that cannot be."""
        listener = self.listener
        context = None if listener.tls is None else context_of(listener.tls)
        async with AsyncExitStack() as stack:
            connections = Connections(most=self.most, patience=self.patience)
            runner = self._runner(connections)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            server = cast("web.Server", runner.server)
            try:
                accepting = connections.listening(server, listener.host, listener.port, context)
                address = await stack.enter_async_context(accepting)
            except OSError as error:
                message = f"cannot listen on {listener.host}:{listener.port}: {error.strerror}"
                raise Misconfigured(message) from error
            if listener.tls is not None and context is not None:
                following = asyncio.create_task(follow(listener.tls, context, every=self.look))
                stack.push_async_callback(_ended, following)
            yield address

    def _runner(self, connections: Connections) -> web.AppRunner:
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[_guarded])
        application[_CONNECTIONS] = connections
        application.add_routes(
            [
                web.get("/saml/{name}/metadata", self._metadata),
                web.get("/saml/{name}/authorize", self._authorize),
                web.post("/saml/{name}/acs", self._consume),
                web.post("/saml/{name}/token", self._token),
                web.get("/.well-known/oauth-authorization-server/saml/{name}", self._endpoints),
            ]
        )
        # Not logged: the path of a request has codes in it, and its body has assertions.
        return web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=STOP_WITHIN,
        )

    async def _metadata(self, request: web.Request) -> web.Response:
        trusted = self.logins.trusted(_name(request))
        document = metadata_document(trusted.own, self.logins.signer, signs=trusted.settings.sign_requests)
        return web.Response(body=document, content_type="application/samlmetadata+xml")

    async def _endpoints(self, request: web.Request) -> web.Response:
        """RFC 8414: by which `authz login` finds the rest."""
        trusted = self.logins.trusted(_name(request))
        own, kinds = trusted.own, [CODE, *([ASSERTION] if trusted.settings.batch is not None else [])]
        return web.json_response(
            {
                "issuer": own.issuer,
                "authorization_endpoint": own.authorization,
                "token_endpoint": own.token,
                "response_types_supported": ["code"],
                "grant_types_supported": kinds,
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _authorize(self, request: web.Request) -> web.Response:
        login = _login(_once_each(request.query_string), now=self.logins.clock())
        where = await self.logins.begin(_name(request), login)
        raise _elsewhere(where)

    async def _consume(self, request: web.Request) -> web.Response:
        form = await _form(request)
        try:
            where = await self.logins.answer(
                _name(request), form.get("SAMLResponse", ""), peer=_peer(request)
            )
        except Refused as refused:
            where = refused.redirect
        raise _elsewhere(where)

    async def _token(self, request: web.Request) -> web.Response:
        """RFC 6749 5: errors too are JSON, and mostly 400."""
        try:
            granted = await self.grants.grant(_name(request), await _form(request), peer=_peer(request))
        except AuthzError as error:
            plain = ("unsupported_grant_type", "invalid_request")
            word = error.code if error.code in plain else "invalid_grant"
            status = error.status if error.status in (404, 413, 415, 503) else 400
            told = {"error": "temporarily_unavailable" if status == 503 else word}
            described = f"{error} ({error.code})"
            return web.json_response({**told, "error_description": described}, status=status)
        return web.json_response(
            {"access_token": granted.token, "token_type": "Bearer", "expires_in": granted.lifetime}
        )


@web.middleware
async def _guarded(request: web.Request, handler: _Answer) -> web.StreamResponse:
    """Our refusals as pages, and what is our own fault as a bare one: neither repeats what was sent.

    A connection has one request: who keeps them open would keep others out.
    """
    request.app[_CONNECTIONS].asked(request)
    try:
        response = await handler(request)
    except AuthzError as error:
        response = _page(error.status, f"This login went wrong: {error}", error.code)
    except web.HTTPRequestEntityTooLarge:
        response = _page(413, f"More than {LARGEST_BODY} bytes were sent.", "too_large")
    except web.HTTPException as answer:
        answer.force_close()
        raise  # a redirect of ours, or a path or method that there is not
    except Exception as error:  # of whatever kind: a page of aiohttp's own could repeat what was sent
        log.error("saml.failed", error=type(error).__name__)
        response = _page(500, "This login went wrong, and it is not your fault.", "internal")
    response.headers.update(_HEADERS)
    response.force_close()
    return response


def _elsewhere(where: str) -> web.HTTPSeeOther:
    """A redirect to exactly this: an address that is quoted anew is no longer the one that was signed."""
    return web.HTTPSeeOther(URL(where, encoded=True), headers=_HEADERS)


def _page(status: int, text: str, code: str) -> web.Response:
    body = _PAGE.format(html.escape(text), html.escape(code))
    return web.Response(text=body, status=status, content_type="text/html")


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _peer(request: web.Request) -> str:
    return request.remote or ""


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _form(request: web.Request) -> Mapping[str, str]:
    if request.content_type != _FORM or "content-encoding" in request.headers:
        # Nothing is inflated here, so that nothing small becomes large.
        raise Unreadable(f"send {_FORM}, uncompressed", code="unsupported_media_type", status=415)
    try:
        async with asyncio.timeout(FORM_WITHIN):
            body = await request.read()
    except TimeoutError as error:
        raise Unreadable("the form did not arrive in time", code="too_slow", status=408) from error
    try:
        return _once_each(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise _invalid("the form is not ASCII") from error


def _once_each(text: str) -> Mapping[str, str]:
    """The parameters, none of which may be there twice (RFC 6749 3.1)."""
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise _invalid("there are too many parameters") from error
    if len(dict(found)) != len(found):
        raise _invalid("a parameter is there twice")
    return dict(found)


def _login(asked: Mapping[str, str], *, now: float) -> Login:
    """The login that a command asks for (RFC 6749 4.1.1); raises `Unreadable`, never redirects elsewhere."""
    host, port = _loopback(asked.get("redirect_uri", ""))
    challenge = challenge_of(asked.get("code_challenge", ""))
    state = asked.get("state", "")
    if asked.get("client_id") not in list(Door):
        raise _invalid(f"client_id must be one of {', '.join(Door)}")
    if asked.get("response_type") != "code" or _STATE.fullmatch(state) is None:
        raise _invalid(f"response_type must be code, and state 1 to {LONGEST_STATE} printable characters")
    if challenge is None or asked.get("code_challenge_method") != "S256":
        raise _invalid("a code_challenge by S256 is needed (RFC 7636)")
    return Login(Door(asked["client_id"]), host, port, state, challenge, now + LIFE)


def _loopback(redirect: str) -> tuple[str, int]:
    try:
        parts = urlsplit(redirect)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    # Compared as a whole: what a browser reads otherwise than we do goes nowhere.
    if host not in ("127.0.0.1", "localhost") or redirect != f"http://{host}:{port}/callback" or not port:
        raise _invalid("redirect_uri must be http://127.0.0.1:PORT/callback")
    return host, port


def _invalid(what: str) -> Unreadable:
    return Unreadable(what, code="invalid_request")
