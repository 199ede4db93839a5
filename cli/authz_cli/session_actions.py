"""What the commands of `authz session` do, once they are called."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Literal

import click

from authz_cli import terminal
from authz_cli.exits import Exit, Failure
from authz_cli.listed import first_of
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.session_before import shown_before_masking
from authz_cli.session_client import connect
from authz_cli.session_filters import Filters
from authz_cli.session_json import (
    ANSWER_RELEASED,
    REQUEST_FORWARDED,
    body_of,
    session_object,
    session_with_bodies,
)
from authz_cli.session_story import Story
from authz_cli.session_text import session_page, sessions_table


def show_list(
    target: Target, filters: Filters, *, limit: int, output: Literal["table", "wide", "json"]
) -> None:
    """Print a list of sessions."""
    with connect(target) as client:
        sessions = first_of(client.sessions(filters.request()), limit)
    if output == "json":
        click.echo(json.dumps([session_object(session) for session in sessions], indent=2))
    elif not sessions:
        click.echo("no sessions")
    else:
        click.echo(sessions_table(sessions, now=datetime.now(UTC), is_wide=output == "wide"))


def show_one(target: Target, name: str, *, as_json: bool, why: str | None = None) -> None:
    """Print one session; with `why` as it was before masking."""
    with connect(target) as client:
        session, entries = client.session(name, why=why)
    bodies = entries if why is None else shown_before_masking(entries)
    if as_json:
        click.echo(json.dumps(session_with_bodies(session, entries, bodies=bodies), indent=2))
        return
    story = Story.of(bodies, is_before_masking=why is not None)
    for line in session_page(session, entries, story, now=datetime.now(UTC), width=terminal.width()):
        click.echo(line)


def show_raw(
    target: Target, name: str, which: Literal["request", "answer"], *, why: str | None = None
) -> None:
    """Write one body, byte for byte."""
    out = sys.stdout.buffer
    if sys.stdout.isatty():
        # A prompt may hold what a terminal obeys.
        raise Failure(
            "raw bytes are not written to a terminal: redirect them, or leave out --raw", Exit.USAGE
        )
    with connect(target) as client:
        _, entries = client.session(name, why=why)
    entries = entries if why is None else shown_before_masking(entries)
    body = body_of(entries, REQUEST_FORWARDED if which == "request" else ANSWER_RELEASED)
    if body is None:
        raise Failure(f"no {which} of this session crossed, or it is not kept any more", Exit.NOT_FOUND)
    out.write(body)
    out.flush()


def end(target: Target, session: str, *, reason: str, is_sure: bool, as_json: bool) -> None:
    """End a running exchange; elsewhere than on a terminal only when `is_sure`."""
    if not is_sure and not terminal.is_interactive():
        raise Failure("nobody can be asked here: say --yes", Exit.USAGE)
    if not is_sure and not click.confirm(f"End session {safe_line(session)}?", err=True):
        raise Failure("nothing was ended")
    with connect(target) as client:
        killed = client.kill(session, reason=reason)
    if as_json:
        click.echo(json.dumps(session_object(killed), indent=2))
    else:
        click.echo(
            f"session {safe_line(killed.id)} is being ended; see: authz session show {safe_line(killed.id)}"
        )
