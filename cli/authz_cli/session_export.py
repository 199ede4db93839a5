"""Writes sessions for other programs, one after the other: whatever their number, one is in memory."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from authz_api.v1 import sessions_pb2
from authz_cli.exits import Exit, Failure
from authz_cli.hold_json import Object
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.session_before import shown_before_masking
from authz_cli.session_client import SessionClient, connect
from authz_cli.session_filters import Filters
from authz_cli.session_har import HEAD, TAIL, har_entry
from authz_cli.session_json import session_with_bodies
from authz_cli.session_ocsf import ocsf_event
from authz_cli.session_otlp import otlp_request
from authz_cli.session_story import Story

SHOWN_EVERY = 25  # sessions, on a terminal
LISTED_AT_ONCE = 200
PATIENCE = 30.0  # seconds for a collector
TOO_LARGE = "too large"
"""How the service's reason begins for a payload that is kept, and that no message carries."""

Entries = list[sessions_pb2.Entry]
Read = tuple[sessions_pb2.Session, Entries, Entries]
"""A session, its entries, and those that its bodies are taken from."""

_FORMATS: dict[str, Callable[[Read], Object]] = {
    "jsonl": lambda read: session_with_bodies(read[0], read[1], bodies=read[2]),
    "har": lambda read: har_entry(read[0], Story.of(read[2])),
    "otlp": lambda read: otlp_request(read[0], Story.of(read[2])),
    "ocsf": lambda read: ocsf_event(read[0], Story.of(read[2])),
}


def export_sessions(
    target: Target,
    name: str,
    filters: Filters,
    *,
    form: str,
    output: Path | None,
    endpoint: str | None,
    why: str | None = None,
) -> None:
    """Write one session, or all that `filters` choose; a file that is there is not overwritten.

    With `why`, the reason, bodies are those from before masking.
    """
    made = _FORMATS[form]
    with connect(target) as client:
        objects = (made(read) for read in _progress(_read(client, name, filters, why)))
        if endpoint is not None:
            for item in objects:
                _send(endpoint, item)
            return
        with _opened(output) as write:
            for piece in _archive(objects) if form == "har" else _lines(objects):
                write(piece)


def _read(client: SessionClient, name: str, filters: Filters, why: str | None) -> Iterator[Read]:
    if name:
        read = iter([client.session(name, why=why)])
    else:
        wanted = filters.request()
        wanted.page_size = LISTED_AT_ONCE
        read = client.read((session.id for session in client.sessions(wanted)), why=why)
    for session, entries in read:
        _tell_what_is_too_large(session, entries)
        yield session, entries, entries if why is None else shown_before_masking(entries)


def _tell_what_is_too_large(session: sessions_pb2.Session, entries: Entries) -> None:
    """What no message can carry is missing for that reason alone: the export would not say so."""
    for entry in entries:
        for missing in entry.missing:
            if missing.why.startswith(TOO_LARGE):
                what = f"{missing.name} of entry {entry.sequence} of session {session.id}"
                click.echo(safe_line(f"{what} is not in this export: {missing.why}"), err=True)


def _lines(objects: Iterator[Object]) -> Iterator[str]:
    for item in objects:
        yield json.dumps(item) + "\n"


def _archive(objects: Iterator[Object]) -> Iterator[str]:
    yield HEAD
    for number, item in enumerate(objects):
        yield ("," if number else "") + "\n" + json.dumps(item)
    yield f"\n{TAIL}\n"


def _progress(items: Iterator[Read]) -> Iterator[Read]:
    """Says how many there were so far, to a person."""
    count = 0
    is_shown = sys.stderr.isatty()
    for count, item in enumerate(items, 1):
        if is_shown and count % SHOWN_EVERY == 0:
            click.echo(f"\r{count} sessions", nl=False, err=True)
        yield item
    if is_shown:
        click.echo(f"\r{count} sessions", err=True)


@contextmanager
def _opened(output: Path | None) -> Iterator[Callable[[str], object]]:
    if output is None:
        yield lambda text: click.echo(text, nl=False)
        return
    try:
        # What was asked and answered is nobody else's to read.
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file.write
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}", Exit.USAGE) from error


def _send(endpoint: str, item: Object) -> None:
    """To a collector, by OTLP over HTTP; one that does not take it ends the export."""
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise Failure(f"{endpoint} is no http or https URL", Exit.USAGE)
    url = endpoint.rstrip("/")
    url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
    data, headers = json.dumps(item).encode(), {"content-type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - see above
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310 - the scheme was checked
            return
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise Failure(f"the collector at {url} did not take a session: {reason}", Exit.AWAY) from error
