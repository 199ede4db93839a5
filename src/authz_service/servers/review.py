"""The review API's server: on a listener of its own, a Unix socket or TCP with TLS."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from authz_api.v1.grants_pb2_grpc import add_GrantServiceServicer_to_server
from authz_api.v1.holds_pb2_grpc import add_HoldServiceServicer_to_server
from authz_api.v1.keys_pb2_grpc import add_KeyServiceServicer_to_server
from authz_api.v1.logins_pb2_grpc import add_LoginServiceServicer_to_server
from authz_api.v1.notifications_pb2_grpc import add_NotificationServiceServicer_to_server
from authz_api.v1.record_pb2_grpc import add_RecordServiceServicer_to_server
from authz_api.v1.sessions_pb2_grpc import add_SessionServiceServicer_to_server
from authz_api.v1.tokens_pb2_grpc import add_TokenServiceServicer_to_server
from authz_api.v1.usage_pb2_grpc import add_UsageServiceServicer_to_server
from authz_service.config.gateway_values import Tls
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Misconfigured
from authz_service.masking.seams import Scanner
from authz_service.servers.review_calls import Calls, ReviewVerifier, nothing_withdrawn
from authz_service.servers.review_concealing import Concealer, Veil
from authz_service.servers.review_context import Contexts
from authz_service.servers.review_deciding import Reviser
from authz_service.servers.review_feed import HoldFeed
from authz_service.servers.review_grants import GrantReview
from authz_service.servers.review_health import add_health
from authz_service.servers.review_holds import HoldReview
from authz_service.servers.review_keys import KeyReview
from authz_service.servers.review_logins import LoginReview
from authz_service.servers.review_messages import MAX_ANSWER
from authz_service.servers.review_notifications import NotificationReview
from authz_service.servers.review_record import RecordReview
from authz_service.servers.review_sessions import Index, ReviewStore, SessionReview
from authz_service.servers.review_tokens import TokenReview
from authz_service.servers.review_usage import UsageReview
from authz_service.servers.roles import Roles
from authz_service.servers.tls import PemFiles, server_credentials
from authz_service.view.caller import Caller

MAX_REQUEST = 1024 * 1024  # bytes, which anybody may send who reaches the listener
MAX_CALLS = 1000  # at a time, those who watch among them
STOP_WITHIN = 2.0  # seconds for calls in flight; those who watch come again with their cursor
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.max_send_message_length", MAX_ANSWER),
    ("grpc.keepalive_time_ms", 60_000),  # one who watches and is gone without a word is found out
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # and may ask whether we are there
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, never half of the calls
)


class _Unindexed:
    """Where nothing follows the record."""

    has_texts = False

    async def refresh(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class ReviewServer:
    """What the review API needs. `roles` and `limits` are asked anew for each call.

    Without `grants` none can be made, without `tokens` none be withdrawn, without `keys` no API key be made,
    without `record` nothing be purged, erased or exported, without `usage` nobody see what was used, without
    `index` no text be searched, without `logins` nobody be told where to log in.
    `recheck` refuses one that was, while its call still runs. `news` takes what is to be called when holds
    have changed.

    `scanner` gives the detectors in force, with which findings are shown where they stand.
    Without `concealer` reviewers from whom something is concealed are shown nothing of a hold.

    `clock` is the one that tokens expire by; `poll` the seconds between two looks for changed holds.
    """

    store: ReviewStore
    verifier: ReviewVerifier
    roles: Roles
    limits: Callable[[], HoldLimits]
    reviser: Reviser
    clock: Callable[[], float] = time.time
    poll: float = 0.5
    grants: Callable[[Calls], GrantReview] | None = None
    tokens: Callable[[Calls], TokenReview] | None = None
    keys: Callable[[Calls], KeyReview] | None = None
    logins: LoginReview | None = None
    record: Callable[[Calls], RecordReview] | None = None
    notifications: Callable[[Calls], NotificationReview] | None = None
    usage: Callable[[Calls], UsageReview] | None = None
    recheck: Callable[[Caller], None] = nothing_withdrawn
    news: Callable[[Callable[[Collection[str]], None]], None] | None = None
    scanner: Callable[[], Scanner] | None = None
    concealer: Concealer | None = None
    index: Index = _Unindexed()  # noqa: RUF009 - it has no state

    @asynccontextmanager
    async def serve(self, address: str, *, tls: Tls | None = None) -> AsyncIterator[str]:
        """Serve within the context; yields the address to call, with the port that was chosen for 0.

        `unix:PATH` in a directory that is closed to others, or `HOST:PORT` with TLS. Raises
        `Misconfigured` for plain TCP, an open directory, an address in use, or unreadable PEM files.
        """
        feed = HoldFeed(self.store, every=self.poll)
        if self.news is not None:
            self.news(lambda _holds: feed.nudge())
        calls = Calls(self.verifier, self.roles, self.clock, self.recheck)
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        contexts = Contexts(self.store, self.scanner)
        veil = Veil(self.concealer)
        holds = HoldReview(self.store, calls, self.limits, feed, contexts, self.reviser, veil)
        add_HoldServiceServicer_to_server(holds, server)
        add_SessionServiceServicer_to_server(
            SessionReview(self.store, calls, self.index, self.poll, lambda: feed.is_closed), server
        )
        if self.grants is not None:
            add_GrantServiceServicer_to_server(self.grants(calls), server)
        if self.tokens is not None:
            add_TokenServiceServicer_to_server(self.tokens(calls), server)
        if self.keys is not None:
            add_KeyServiceServicer_to_server(self.keys(calls), server)
        if self.logins is not None:
            add_LoginServiceServicer_to_server(self.logins, server)
        if self.record is not None:
            add_RecordServiceServicer_to_server(self.record(calls), server)
        if self.usage is not None:
            add_UsageServiceServicer_to_server(self.usage(calls), server)
        if self.notifications is not None:
            add_NotificationServiceServicer_to_server(self.notifications(calls), server)
        health = await add_health(server)
        bound = _bind(server, address, tls)
        polling = asyncio.create_task(feed.run(), name="review-feed")
        try:
            await server.start()
            yield bound
        finally:
            await health.enter_graceful_shutdown()
            polling.cancel()
            await feed.close()
            await server.stop(STOP_WITHIN)
            await asyncio.gather(polling, return_exceptions=True)


def _bind(server: grpc.aio.Server, address: str, tls: Tls | None) -> str:
    try:
        if address.startswith("unix:"):
            _require_private(Path(address.removeprefix("unix:")).parent)
            server.add_insecure_port(address)
            return address
        if tls is None:
            raise Misconfigured(
                f"the review API is never served over plain TCP; give {address} a certificate and key, "
                "or use a Unix socket"
            )
        credentials = server_credentials(PemFiles(tls.cert, tls.key), section="the review listener")
        port = server.add_secure_port(address, credentials)
    except RuntimeError as error:  # what grpc raises when it cannot bind
        raise Misconfigured(f"cannot listen on {address}: is another server running there?") from error
    return f"{address.rpartition(':')[0]}:{port}"


def _require_private(folder: Path) -> None:
    # Whoever can reach the socket can send tokens to it, and whoever can replace it can collect them.
    mode = stat.S_IMODE(folder.stat().st_mode) if folder.is_dir() else None
    if mode is None or mode & 0o077:
        raise Misconfigured(
            f"the review socket needs a directory that is closed to others: chmod 700 {folder}"
        )
