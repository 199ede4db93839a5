"""Requests to a provider: bounded in time and size, never redirected, with errors that show no token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from authz_cli.exits import Exit, Failure

TIMEOUT = 10.0  # seconds that a provider may be silent for
LARGEST_ANSWER = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the JSON object that came with it; empty where there was none."""

    status: int
    content: Mapping[str, Any]

    def text(self, name: str) -> str:
        """The text of that name; empty where it is absent or something else."""
        found = self.content.get(name)
        return found if isinstance(found, str) else ""

    @property
    def error(self) -> str:
        """The provider's word for what was wrong, and its explanation (RFC 6749 5.2)."""
        described = self.text("error_description")
        word = self.text("error")[:100] or f"status {self.status}"
        return f"{word}: {described[:300]}" if described else word


def ask(url: str, form: Mapping[str, str] | None = None) -> Answer:
    """GET, or POST a form; raises `Failure` when the provider is away or answers without end."""
    content = bytearray()
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("GET" if form is None else "POST", url, headers=headers, data=form) as answer,
        ):
            for chunk in answer.iter_raw():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise Failure(f"the answer of {url} is larger than {LARGEST_ANSWER} bytes", Exit.AWAY)
            return Answer(answer.status_code, _object(bytes(content)))
    except httpx.HTTPError as error:
        # Its own text could quote what was sent.
        message = f"the provider does not answer at {url} ({type(error).__name__}); is it within reach?"
        raise Failure(message, Exit.AWAY) from error


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
