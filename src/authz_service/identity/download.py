"""Fetches a JSON document of an issuer's or a directory's: bounded, never redirected or compressed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from authz_service.config.scalars import is_loopback

FETCH_TIMEOUT = 5.0
"""Seconds that a server may be silent for; a whole fetch has a limit of its own."""
LARGEST_DOCUMENT = 1024 * 1024
MOST_CONNECTIONS = 50

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"(?:^|[\s,])(no-store|no-cache)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """What a server answered. `max_age` is for how many seconds it says that stays so; None if it doesn't.

    `date` is the server's clock as its answer says it ("" where it does not).
    """

    content: Any
    max_age: float | None
    date: str


class NotServed(ValueError):
    """The server answered with another status than 200; after `retry_after` seconds it may be asked again."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = retry_after


def new_client() -> httpx.AsyncClient:
    """A client for all issuers: with a limit on connections, and without redirects."""
    limits = httpx.Limits(max_connections=MOST_CONNECTIONS)
    return httpx.AsyncClient(timeout=FETCH_TIMEOUT, follow_redirects=False, limits=limits)


def is_safe(url: str) -> bool:
    """Whether what comes from this URL cannot be changed on the way: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_plain = not (parts.username or parts.password or parts.fragment) and parts.port != 0
    except ValueError:
        return False
    if not host or not is_plain or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


async def fetch_document(
    client: httpx.AsyncClient,
    url: str,
    *,
    accept: str = "",
    bearer: str | None = None,
    form: Mapping[str, str] | None = None,
) -> Document:
    """GET a JSON document, or POST a form for one; raises `ValueError`, `NotServed` and what httpx raises.

    `accept` comes before JSON; `bearer` is the token to show.
    """
    content, answered = await fetch_bytes(
        client, url, accept=f"{accept}application/json", bearer=bearer, form=form
    )
    return Document(_parsed(content), _max_age(answered), answered.get("date", ""))


async def fetch_bytes(
    client: httpx.AsyncClient,
    url: str,
    *,
    accept: str,
    bearer: str | None = None,
    form: Mapping[str, str] | None = None,
) -> tuple[bytes, httpx.Headers]:
    """The bytes of a document and the headers that came with it; raises as `fetch_document` does."""
    # Without compression, so that the limit on what is read is a limit on what is held.
    headers = {"accept": accept, "accept-encoding": "identity"}
    headers |= {} if bearer is None else {"authorization": f"Bearer {bearer}"}
    method, content = "GET" if form is None else "POST", bytearray()
    # A redirect would let whoever controls one path of the issuer's site name other keys.
    async with client.stream(method, url, headers=headers, data=form, follow_redirects=False) as answer:
        if answer.status_code != 200:
            raise NotServed(answer.status_code, _seconds(answer.headers.get("retry-after", "")))
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise ValueError("compressed although asked not to be")
        async for chunk in answer.aiter_raw():
            content += chunk
            if len(content) > LARGEST_DOCUMENT:
                raise ValueError(f"larger than {LARGEST_DOCUMENT} bytes")
    return bytes(content), answer.headers


def reason(error: Exception) -> str:
    """What to log: our own words and the kinds of foreign errors, never what the server said."""
    return str(error) if type(error) in (ValueError, NotServed) else type(error).__name__


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise ValueError("not JSON") from None


def _max_age(headers: httpx.Headers) -> float | None:
    """RFC 9111 4.2: how long the answer stays fresh; 0 for one that is not to be kept."""
    directives, age = headers.get("cache-control", ""), headers.get("age", "")
    if _NOT_KEPT.search(directives):
        return 0.0
    found = _MAX_AGE.search(directives)
    if found is None:
        return None
    return max(0.0, float(found[1]) - (_seconds(age) or 0.0))


def _seconds(value: str) -> float | None:
    """A header's whole number of seconds (RFC 9110 10.2.3); None for anything else, dates too."""
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
