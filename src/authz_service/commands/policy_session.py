"""`authz policy explain`: asks the server for a session and its policy, and explains here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson

from authz_cli.exits import Exit, Failure
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.session_client import connect
from authz_cli.session_story import Event, Story
from authz_service.commands.policy_explain import Recorded, explain


def explain_session(target: Target, name: str, *, as_json: bool) -> None:
    """Print every decision about a session's request and answer. The server records the reading."""
    with connect(target) as client:
        session, entries = client.session(name)
        story = Story.of(entries)
        decided = story.all("request.decided", "answer.decided")
        if not decided:
            raise Failure("no decision about this request is on record", Exit.NOT_FOUND)
        files = {digest: client.policy(digest) for digest in {str(e.data.get("policy", "")) for e in decided}}
    explained = [
        explain(recorded, files[str(recorded.data.get("policy", ""))])
        for recorded in _recorded(story, decided, method=session.method, path=session.path)
    ]
    if as_json:
        click.echo(json.dumps([decision.as_json() for decision in explained], indent=2))
        return
    for event, decision in zip(decided, explained, strict=True):
        click.echo(f"{event.at.astimezone():%Y-%m-%d %H:%M:%S %Z}")
        for line in decision.lines():
            click.echo(safe_line(line))


def _recorded(story: Story, decided: list[Event], *, method: str, path: str) -> Iterator[Recorded]:
    received = story.first("request.received")
    caller = received.payloads.get("caller") if received is not None else None
    body = story.body
    asked: Mapping[str, Any] = {}
    granted = _granted(story)
    for index, event in enumerate(decided):
        is_answer = event.kind == "answer.decided"
        if not is_answer:
            asked = event.data.get("findings", {})
        yield Recorded(
            at=event.at.timestamp(),
            data=event.data,
            caller=None if caller is None else orjson.loads(caller),
            method=method,
            path=path,
            body=None if body is None else body[1],
            asked=asked if is_answer else None,
            grant=granted.get(index, ""),
        )


def _granted(story: Story) -> dict[int, str]:
    """By the position of a decision: the grant that was used upon it."""
    granted: dict[int, str] = {}
    decisions = 0
    for event in story.events:
        if event.kind in ("request.decided", "answer.decided"):
            decisions += 1
        elif event.kind == "grant.used":
            granted[decisions - 1] = str(event.data.get("grant", ""))
    return granted
