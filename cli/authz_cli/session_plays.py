"""What `authz session replay` and `export` do, once they are called."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import click

from authz_api.v1 import sessions_pb2
from authz_cli import terminal
from authz_cli.asciicast import asciicast
from authz_cli.exits import Exit, Failure
from authz_cli.options import Target
from authz_cli.session_before import shown_before_masking
from authz_cli.session_client import SessionClient, connect
from authz_cli.session_replay import Shown, frames, paced, started
from authz_cli.session_story import Story

WIDTH, HEIGHT = 100, 30
"""Of a recording, and of a replay that goes to no terminal, in cells."""

What = Literal["all", "prompt", "answer"]


def play(
    target: Target,
    name: str,
    *,
    speed: float,
    longest: float,
    what: What,
    why: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print an exchange at its own pace."""
    with connect(target) as client:
        session, story = _read(client, name, why)
    width = terminal.width() or WIDTH
    shown = frames(session, story, width=width, shown=_shown(what))
    for wait, frame in paced(shown, speed=speed, longest=longest):
        if wait > 0:
            sleep(wait)
        click.echo(frame.text, nl=False)


def record(
    target: Target, name: str, *, longest: float, what: What, output: Path | None, why: str | None = None
) -> None:
    """Write a recording to a file of its own, or to the standard output."""
    with connect(target) as client:
        session, story = _read(client, name, why)
    lines = asciicast(
        paced(frames(session, story, width=WIDTH, shown=_shown(what)), speed=1.0, longest=longest),
        width=WIDTH,
        height=HEIGHT,
        title=f"authz session {session.id}",
        at=started(story),
    )
    if output is None:
        for line in lines:
            click.echo(line)
    else:
        _write(output, lines)


def _read(client: SessionClient, name: str, why: str | None) -> tuple[sessions_pb2.Session, Story]:
    session, entries = client.session(name, why=why)
    if why is None:
        return session, Story.of(entries)
    return session, Story.of(shown_before_masking(entries), is_before_masking=True)


def _write(output: Path, lines: Iterable[str]) -> None:
    try:
        # What was asked and answered is nobody else's to read, and a file that is there stays.
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}", Exit.USAGE) from error


def _shown(what: What) -> Shown:
    return Shown(prompt=what != "answer", answer=what != "prompt")
