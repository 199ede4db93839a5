"""Envoy's ext_authz Check: who sends this request? Headers only; the rules come later, in ext_proc.

What was found goes on sealed, as dynamic metadata. No header is changed: Envoy has stripped our own
before (early header mutation), and a mutation here would count as an error.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Protocol

import grpc
import structlog

from authz_service.core.durations import Durations
from authz_service.errors import AuthzError, Forbidden, Unauthenticated
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealed, Sealer
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.registry import error_shape
from authz_service.runtime.marks import Marks
from authz_service.runtime.resuming import POISONED, poisoned
from authz_service.servers.credentials import Headers, has_credential, request_headers, token_in
from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.servers.wire import methods
from authz_service.servers.wire.base_pb2 import HeaderValue, HeaderValueOption, HttpStatus
from authz_service.view.caller import Caller

SEAL = "seal"
"""The key of the dynamic metadata, in the namespace of Envoy's ext_authz filter."""

LATER_SECONDS = 1.0
"""What who comes while this process leaves waits here, before Envoy is to ask again: thousands may."""

Context = grpc.aio.ServicerContext[wire.CheckRequest, wire.CheckResponse]

log = structlog.get_logger()


class GatewayVerifier(Protocol):
    """Says whose a token is; raises `Unauthenticated` or `Unavailable`."""

    async def verify_gateway(self, token: str) -> Caller: ...


class CertificateVerifier(Protocol):
    """Says whose a client certificate is that Envoy has verified; raises `Unauthenticated`."""

    def verify_certificate(self, encoded: str) -> Caller: ...


class Refusals(Protocol):
    """Counts refusals of the unauthenticated: `source` is an address, `code` that of the error."""

    def count(self, source: str, code: str) -> None: ...


class ExtAuthz:
    """Answers Check. Whatever goes wrong, the answer is a denial or an error, which Envoy denies too.

    Without `certificates` none counts; with `yields_to_token` a token beside one says who calls. `took`
    counts how long it took to admit. With `marks`, where there are several workers, a request that one died
    of is refused: Envoy asks again, of another one. Nobody is checked before it `opens`, nor while it
    `leaves`: what Envoy has not sent on it can still send to another process, or the next one, bodies of any
    size too.
    """

    def __init__(
        self,
        *,
        verifier: GatewayVerifier,
        sealer: Sealer,
        refusals: Refusals,
        clock: Callable[[], float] = time.time,
        certificates: CertificateVerifier | None = None,
        yields_to_token: bool = False,
        took: Durations | None = None,
        marks: Marks | None = None,
        opens: asyncio.Event | None = None,
        leaves: Callable[[], bool] = lambda: False,
    ) -> None:
        self._verifier = verifier
        self._sealer = sealer
        self._refusals = refusals
        self._clock = clock
        self._certificates = certificates
        self._yields_to_token = yields_to_token
        self._took = Durations() if took is None else took
        self._marks = marks
        self._opens = opens
        self._leaves = leaves

    def handler(self) -> grpc.GenericRpcHandler[wire.CheckRequest, wire.CheckResponse]:
        """What to give to `add_generic_rpc_handlers` of a grpc.aio server."""
        service, method = methods.CHECK.lstrip("/").split("/")
        check = grpc.unary_unary_rpc_method_handler(
            self.check,
            request_deserializer=wire.CheckRequest.FromString,
            response_serializer=wire.CheckResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(service, {method: check})

    async def check(self, request: wire.CheckRequest, context: Context | None = None) -> wire.CheckResponse:
        """OK with a seal in the dynamic metadata, or a denial in the shape of the API that was called."""
        if self._opens is not None and not self._opens.is_set():
            await self._opens.wait()
        if context is not None and self._leaves():
            await _asked_again(context)
        answer = await self._judged(request)
        # It may have taken longer than the process takes what it has checked, bodies that are sent once too.
        if context is not None and self._leaves() and answer.HasField("ok_response"):
            await _asked_again(context)
        return answer

    async def _judged(self, request: wire.CheckRequest) -> wire.CheckResponse:
        """With a mark of it where there are several workers."""
        if self._marks is None:
            return await self._checked(request)
        http = request.attributes.request.http
        if self._marks.is_poison(http.id):
            return self._refused(request, poisoned())
        return await self._marks.judging(http.id, self._checked(request))

    async def _checked(self, request: wire.CheckRequest) -> wire.CheckResponse:
        http, began = request.attributes.request.http, time.perf_counter()
        try:
            admitted = await self._admit(http, _source(request), request)
            self._took.add(time.perf_counter() - began)
            return admitted
        except AuthzError as error:
            refusal = error
        except Exception as error:
            # Where it happened, not what it says: a message could quote the token.
            log.error("ext_authz.failed", error=type(error).__name__, at=_place(error))
            refusal = AuthzError("the request could not be checked", code="internal_error", status=503)
        return self._refused(request, refusal)

    def _refused(self, request: wire.CheckRequest, refusal: AuthzError) -> wire.CheckResponse:
        self._refusals.count(_source(request), refusal.code)
        return _denied(request.attributes.request.http.path, refusal)

    async def _admit(
        self, http: wire.AttributeContext.HttpRequest, source: str, request: wire.CheckRequest
    ) -> wire.CheckResponse:
        headers = request_headers(http)
        _refuse_upgrade(http.method, headers)
        caller = (
            await self._verifier.verify_gateway(token_in(headers))
            if self._certificates is None
            else await self._of_either(self._certificates, headers, request)
        )
        sealed = Sealed(
            exchange=new_id("ses"),
            caller=caller,
            method=http.method,
            path=http.path,
            host=http.host,
            source=source,
        )
        response = wire.CheckResponse()
        response.ok_response.SetInParent()
        response.dynamic_metadata.fields[SEAL].string_value = self._sealer.seal(sealed, self._clock())
        return response

    async def _of_either(
        self, certificates: CertificateVerifier, headers: Headers, request: wire.CheckRequest
    ) -> Caller:
        """By the connection's certificate or by a token; both are two, unless the operator says otherwise."""
        certificate = request.attributes.source.certificate
        if not certificate or (self._yields_to_token and has_credential(headers)):
            return await self._verifier.verify_gateway(token_in(headers))
        if has_credential(headers):
            message = "the request carries a client certificate and a token or key: send one of them"
            raise Unauthenticated(message, code="ambiguous_credentials")
        return certificates.verify_certificate(certificate)


async def _asked_again(context: Context) -> None:
    """Have Envoy ask another process, or the next one, a moment later; does not return."""
    await asyncio.sleep(LATER_SECONDS)
    await context.abort(grpc.StatusCode.UNAVAILABLE, "the service stops")


def _refuse_upgrade(method: str, headers: Headers) -> None:
    """What follows an upgrade are bytes of another protocol, which nothing here could read."""
    if method == "CONNECT" or any(name == "upgrade" for name, _ in headers):
        message = "this gateway carries no upgraded connections (WebSocket, CONNECT); use plain HTTP requests"
        raise Forbidden(message, code="upgrade_refused")


def _denied(path: str, error: AuthzError) -> wire.CheckResponse:
    said = ApiError(status=error.status, code=error.code, message=str(error))
    body = error_shape(path.partition("?")[0]).error_body(said)
    may_retry = error.status == 503 and error.code != POISONED
    headers = {"content-type": "application/json", "x-should-retry": "true" if may_retry else "false"}
    match error:
        case Unauthenticated(code="missing_token"):
            headers["www-authenticate"] = "Bearer"  # RFC 6750 3.1: no error where nothing was sent
        case Unauthenticated():
            headers["www-authenticate"] = 'Bearer error="invalid_token"'
        case _ if may_retry:
            headers["retry-after"] = "1"
    denied = wire.DeniedHttpResponse(status=HttpStatus(code=error.status), body=body.decode())
    denied.headers.extend(_set(name, value) for name, value in headers.items())
    return wire.CheckResponse(status=wire.RpcStatus(code=_rpc_code(error)), denied_response=denied)


def _rpc_code(error: AuthzError) -> int:
    """Never 0: that alone would be read as permission."""
    code: int = {
        401: grpc.StatusCode.UNAUTHENTICATED,
        503: grpc.StatusCode.UNAVAILABLE,
    }.get(error.status, grpc.StatusCode.PERMISSION_DENIED).value[0]
    return code


def _set(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _source(request: wire.CheckRequest) -> str:
    """The address that the request came from, without its port; `local` for a Unix socket."""
    address = request.attributes.source.address
    return address.socket_address.address if address.HasField("socket_address") else "local"
