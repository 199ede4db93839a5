"""Sessions for a person at a terminal: lists, and one readable page of what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from authz_api.v1 import sessions_pb2
from authz_cli.conversation import conversation
from authz_cli.hold_text import local
from authz_cli.moments import distance
from authz_cli.safe_text import safe_line, wrapped
from authz_cli.session_facts import facts
from authz_cli.session_json import entry_data
from authz_cli.session_story import Story
from authz_cli.table import table

HEADS = ("ID", "STARTED", "CALLER", "MODEL", "DECISION", "RULE", "STATUS")
MORE_HEADS = ("GROUPS", "API", "PATH", "TOOK", "TOKENS", "HOLD")


def sessions_table(sessions: Sequence[sessions_pb2.Session], *, now: datetime, is_wide: bool = False) -> str:
    """One line for each session."""
    if is_wide:
        return table(HEADS + MORE_HEADS, [_row(session, now) + _more(session) for session in sessions])
    return table(HEADS, [_row(session, now) for session in sessions])


def session_page(
    session: sessions_pb2.Session,
    entries: Sequence[sessions_pb2.Entry],
    story: Story,
    *,
    now: datetime,
    width: int | None,
) -> Iterator[str]:
    """Who asked, why what was decided, who decided, the bodies of `story`, whole, and every entry."""
    yield f"Session {safe_line(session.id)}: {safe_line(session.status)}"
    for name, text in facts(session, story, now):
        # Wrapped here, or a name with many spaces in it could put words of its own below ours.
        first, *more = wrapped(safe_line(text), max(width - 12, 20)) if width else [safe_line(text)]
        yield f"{name + ':':<10}{first}"
        yield from (" " * 10 + piece for piece in more)
    yield ""
    heading, body = story.body or ("The request, as it went to the model", None)
    yield heading
    yield from _crossing(body, width, is_answer=False)
    yield ""
    yield (
        "The answer, as the model sent it"
        if story.is_before_masking
        else "The answer, as it went to the caller"
    )
    yield from _crossing(story.answer, width, is_answer=True)
    yield ""
    yield "What happened"
    for entry in entries:
        yield from entry_lines(entry, width)


def entry_lines(entry: sessions_pb2.Entry, width: int | None) -> Iterator[str]:
    """One entry: when, what, its data, and the sizes of its payloads."""
    at = local(entry.at).astimezone()
    data = " ".join(f"{name}={_short(value)}" for name, value in entry_data(entry).items())
    told = [f"[{p.name}: {len(p.body)} bytes]" for p in entry.payloads]
    payloads = " ".join([*told, *(f"[{p.name}: {p.why}]" for p in entry.missing)])
    line = safe_line(f"{at:%H:%M:%S.%f}  {entry.kind:<18} {data} {payloads}".rstrip())
    pieces = wrapped(line, max(width - 6, 20)) if width else [line]
    yield from (("  " if index == 0 else "    ") + piece for index, piece in enumerate(pieces))


def _short(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else json.dumps(value)


def _crossing(body: bytes | None, width: int | None, *, is_answer: bool) -> Iterator[str]:
    if body is None:
        yield "  nothing did, or it is not kept any more"
    else:
        yield from conversation(body, width=width, is_answer=is_answer)


def _row(session: sessions_pb2.Session, now: datetime) -> tuple[str, ...]:
    caller = session.caller.person or session.caller.subject
    started = distance(local(session.started_at), now=now)
    return (
        session.id,
        started,
        caller,
        session.model,
        session.decision,
        session.rule,
        session.status,
    )


def _more(session: sessions_pb2.Session) -> tuple[str, ...]:
    has_tokens = session.HasField("prompt_tokens") or session.HasField("completion_tokens")
    return (
        ",".join(session.caller.groups) or "-",
        session.api or "-",
        f"{session.method} {session.path}",
        _took(session),
        f"{session.prompt_tokens}+{session.completion_tokens}" if has_tokens else "-",
        session.hold or "-",
    )


def _took(session: sessions_pb2.Session) -> str:
    if not session.HasField("ended_at"):
        return "-"
    nanoseconds = session.ended_at.ToNanoseconds() - session.started_at.ToNanoseconds()
    return f"{nanoseconds / 1e9:.1f} s"
