"""The receivers of checkpoints: a webhook, syslog (RFC 5424), and an S3-compatible bucket."""

from __future__ import annotations

import asyncio
import os
import socket
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit

import httpx
import orjson

from authz_service.config.record_values import Bucket, Syslog, Webhook
from authz_service.config.record_values import Receiver as Configured
from authz_service.errors import Misconfigured
from authz_service.runtime.checkpoint_delivery import Delivery, NotDelivered, Receiver

SECONDS = 10.0
_PRIORITY = 13 * 8 + 5  # RFC 5424 6.2.1: log audit, notice


def receiver_of(configured: Configured) -> Receiver:
    """The receiver that the configuration asks for; raises `Misconfigured` when a package is missing."""
    match configured:
        case Webhook():
            return WebhookReceiver(configured)
        case Syslog():
            return SyslogReceiver(configured)
        case Bucket():
            return BucketReceiver(configured)
        case _ as never:
            assert_never(never)


def document(delivery: Delivery) -> bytes:
    """A checkpoint as JSON, with what it takes to check that it adds to the one before."""
    previous = delivery.previous
    return orjson.dumps(
        {
            "origin": delivery.checkpoint.origin,
            "size": delivery.checkpoint.size,
            "root": delivery.checkpoint.root.hex(),
            "checkpoint": delivery.text,
            "previous": None if previous is None else {"size": previous.size, "root": previous.root.hex()},
            "proof": [node.hex() for node in delivery.proof],
        }
    )


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """POST of a JSON document; whatever is no 2xx is a refusal. Redirects are not followed."""

    settings: Webhook

    @property
    def name(self) -> str:
        return self.settings.name

    async def deliver(self, delivery: Delivery) -> None:
        headers = {"content-type": "application/json"}
        if self.settings.token is not None:
            headers["authorization"] = f"Bearer {await asyncio.to_thread(_token, self.settings.token)}"
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
                response = await client.post(self.settings.url, content=document(delivery), headers=headers)
        except httpx.HTTPError as error:
            raise NotDelivered(f"cannot be reached ({type(error).__name__})") from error
        if not response.is_success:
            raise NotDelivered(f"answers {response.status_code}")


@dataclass(frozen=True, slots=True)
class SyslogReceiver:
    """One message of RFC 5424 for each checkpoint, whose text is the JSON document without the proof.

    UDP and a Unix socket (as /dev/log) say nothing of whether it arrived; TCP (RFC 6587, octet counting)
    little more.
    """

    settings: Syslog

    @property
    def name(self) -> str:
        return self.settings.name

    async def deliver(self, delivery: Delivery) -> None:
        try:
            await asyncio.to_thread(self._send, _syslog_message(delivery))
        except OSError as error:
            raise NotDelivered(f"cannot be reached ({error.strerror or type(error).__name__})") from error

    def _send(self, message: bytes) -> None:
        settings = self.settings
        if settings.scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
                unix.settimeout(SECONDS)
                unix.connect(settings.host)
                unix.send(message)
        elif settings.scheme == "tcp":
            with socket.create_connection((settings.host, settings.port), timeout=SECONDS) as tcp:
                tcp.sendall(b"%d %b" % (len(message), message))
        else:
            family, kind, protocol, _, address = socket.getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind, protocol) as udp:
                udp.settimeout(SECONDS)
                udp.connect(address)
                udp.send(message)


@dataclass(slots=True)
class BucketReceiver:
    """An object for each checkpoint, named by its size; locked (compliance mode) for as long as configured.

    Credentials are those of the environment (AWS_ACCESS_KEY_ID), a profile, or the machine's role.
    """

    settings: Bucket
    _client: Any = None

    def __post_init__(self) -> None:
        try:
            import minio  # noqa: F401 -- an extra, and asked for: missing, it is a fault now
        except ImportError:
            raise Misconfigured(
                "checkpoints to s3 need a package; run: pip install 'authz-service[s3]'"
            ) from None

    @property
    def name(self) -> str:
        return self.settings.name

    async def deliver(self, delivery: Delivery) -> None:
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            await asyncio.to_thread(self._put, delivery)
        except S3Error as error:
            is_unlocked = error.code == "InvalidRequest" and self.settings.retain is not None
            hint = " (with retain the bucket must have object lock)" if is_unlocked else ""
            raise NotDelivered(f"refuses: {error.code}{hint}") from error
        except (MinioException, HTTPError, ValueError) as error:
            raise NotDelivered(f"cannot be reached ({type(error).__name__})") from error

    def _put(self, delivery: Delivery) -> None:
        from minio.commonconfig import COMPLIANCE
        from minio.retention import Retention

        if self._client is None:
            self._client = _s3_client(self.settings)
        retain = self.settings.retain
        until = None if retain is None else datetime.now(UTC) + timedelta(seconds=retain)
        body = delivery.text.encode()
        self._client.put_object(
            self.settings.bucket,
            f"{self.settings.prefix}{delivery.checkpoint.size:018d}.checkpoint",
            BytesIO(body),
            len(body),
            content_type="text/plain; charset=utf-8",
            # S3 asks for a digest of the body beside its signature where an object is to be locked.
            metadata={
                "x-amz-sdk-checksum-algorithm": "SHA256",
                "x-amz-checksum-sha256": b64encode(sha256(body).digest()).decode(),
            },
            retention=None if until is None else Retention(COMPLIANCE, until),
        )


def _s3_client(settings: Bucket) -> Any:
    from minio import Minio
    from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider
    from urllib3 import PoolManager, Retry, Timeout

    endpoint = urlsplit(settings.endpoint or f"https://s3.{settings.region or 'us-east-1'}.amazonaws.com")
    return Minio(
        endpoint.netloc,
        secure=endpoint.scheme == "https",
        region=settings.region or "us-east-1",
        credentials=ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider()]),
        http_client=PoolManager(timeout=Timeout(SECONDS), retries=Retry(0)),
    )


def _token(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise NotDelivered(f"its token cannot be read from {path.name}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise NotDelivered(f"{path.name} holds no token")
    return token


def _syslog_message(delivery: Delivery) -> bytes:
    checkpoint = delivery.checkpoint
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = socket.gethostname() or "-"
    head = f"<{_PRIORITY}>1 {at} {host} authz {os.getpid()} checkpoint -"
    said = orjson.dumps(
        {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "checkpoint": delivery.text,
        }
    )
    return head.encode("ascii", "replace") + b" " + said
