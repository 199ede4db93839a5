"""A webhook: one signed POST to the address of the configuration, and to no other."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from authz_service.config.notify_values import NotifiedWebhook
from authz_service.errors import Misconfigured
from authz_service.notify.channel import NotDelivered, Notice
from authz_service.notify.secrets import read_secrets
from authz_service.notify.standard_webhooks import body_of, headers_of

SECONDS = 10.0
"""What a receiver has to answer in, from the first packet on."""


def seconds_after(retry_after: str, *, now: float) -> float:
    """How long a `Retry-After` asks for (RFC 9110 10.2.3: seconds, or a date); 0 for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


class WebhookChannel:
    """Whatever is no 2xx is a refusal. Redirects are not followed, proxies of the environment not used, and
    of an answer only the status is read, and of a refusal how long it wants to be left alone."""

    def __init__(
        self,
        settings: NotifiedWebhook,
        *,
        clock: Callable[[], float] = time.time,
        seconds: float = SECONDS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._seconds = seconds
        self._trust: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    async def deliver(self, notice: Notice) -> None:
        """See `Channel.deliver`."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._post(notice)
        except TimeoutError:
            raise NotDelivered(f"it does not answer within {self._seconds:g} s") from None
        except Misconfigured as error:
            raise NotDelivered(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotDelivered(f"it cannot be reached ({type(error).__name__})") from None
        if not 200 <= answer.status_code < 300:
            again_in = seconds_after(answer.headers.get("retry-after", ""), now=self._clock())
            raise NotDelivered(f"it answers {answer.status_code}", again_in=again_in)

    async def _post(self, notice: Notice) -> httpx.Response:
        secrets = await asyncio.to_thread(read_secrets, self._settings.secret)
        if self._trust is None:
            self._trust = await asyncio.to_thread(self._trusted)
        body = body_of(notice)
        headers = headers_of(notice, body, secrets, now=self._clock())
        client = httpx.AsyncClient(
            verify=self._trust, timeout=self._seconds, trust_env=False, follow_redirects=False
        )
        async with client, client.stream("POST", self._settings.url, content=body, headers=headers) as answer:
            return answer

    def _trusted(self) -> ssl.SSLContext:
        if self._settings.ca is None:
            return httpx.create_ssl_context(trust_env=False)
        try:
            return ssl.create_default_context(cafile=self._settings.ca)
        except (OSError, ssl.SSLError):
            raise Misconfigured(f"no certificate can be read from {self._settings.ca.name}") from None
