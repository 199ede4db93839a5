"""The facts of a session as pairs of a name and a line: who, why, the hold, the answer, the times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from authz_api.v1 import sessions_pb2
from authz_cli.hold_text import local
from authz_cli.moments import moment
from authz_cli.session_story import Event, Story, counts

SHORT_DIGEST = 12
Facts = Iterator[tuple[str, str]]

ACTS = {
    "hold.claimed": "claimed",
    "hold.unclaimed": "claim ended",
    "hold.commented": "commented on",
    "hold.withdrawn": "vote taken back",
    "hold.edited": "request edited",
    "hold.responded": "answered in place of the model",
    "hold.reviewed": "reviewed",
}
GRANTS = ("grant.proposed", "grant.voted", "grant.created", "grant.revoked", "grant.used")
_HOLD_ENDS = {
    "hold.approved": "approved",
    "hold.rejected": "rejected",
    "hold.expired": "expired: nobody decided in time",
    "hold.superseded": "superseded by the same request, by a grant, or by what the rules say now",
    "hold.killed": "ended: an operator ended the request",
}


def facts(session: sessions_pb2.Session, story: Story, now: datetime) -> Facts:
    """All that is known, in the order in which it happened. Texts of others are not made safe yet."""
    yield from _who(session)
    yield from _decision(session, story)
    yield from _hold(session, story, now)
    yield from _end(story)
    yield from _answer(session, story)
    yield "Started", moment(local(session.started_at), now=now)
    if session.HasField("ended_at"):
        took = span(local(session.ended_at) - local(session.started_at))
        yield "Ended", f"{moment(local(session.ended_at), now=now)}, after {took}"
    readers = dict.fromkeys(event.done_by("reader") or "-" for event in story.all("session.read"))
    if readers:
        yield "Read by", ", ".join(readers)


def span(length: timedelta) -> str:
    """`0.35 s`, `12.1 s`, `3 min 5 s`, `2 h 3 min`."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def vote_line(event: Event) -> str:
    """A vote: for or against, by whom, and what they said."""
    verdict = "for" if event.data.get("verdict") == "approve" else "against"
    if event.kind == "hold.break_glass":
        verdict += ", alone"
    reason = f", saying: {event.said()}" if event.said() else ""
    return f"{verdict}, by {event.named('voter') or 'somebody whose name is gone'}{reason}"


def act_line(event: Event) -> str:
    """What a reviewer did beside voting: what, who, and what they said."""
    text = event.payloads.get("comment", b"").decode(errors="replace") or event.said()
    said = f", saying: {text}" if text else ""
    return f"{ACTS[event.kind]} by {event.named('voter') or 'somebody whose name is gone'}{said}"


def decision_line(event: Event) -> str:
    """What the rules said, with everything that had a part in it."""
    data = event.data
    said = f"{data.get('effect', 'none')} by rule {data.get('rule') or '-'}"
    others = [rule for rule in data.get("rules", ()) if rule != data.get("rule")]
    for word, rules in (
        ("also matched", others),
        ("in shadow", data.get("shadow")),
        ("failed", data.get("errors")),
    ):
        if rules:
            said += f"; {word}: {', '.join(map(str, rules))}"
    return said


def _who(session: sessions_pb2.Session) -> Facts:
    caller = session.caller
    if session.HasField("caller"):
        groups = ", ".join(caller.groups) or "no groups"
        person = f", person {caller.person}" if caller.person else ""
        yield "Caller", f"{caller.subject} ({groups}) of {caller.issuer}{person}"
    else:
        yield "Caller", "nobody who was identified"
    yield "Asked", f"{session.model or 'no model'} by {session.method} {session.path}"


def _decision(session: sessions_pb2.Session, story: Story) -> Facts:
    decided = story.all("request.decided")
    yield "Decision", f"{session.decision or 'none'} by rule {session.rule or '-'}"
    for event in decided:
        line = decision_line(event)
        if len(decided) > 1 or line != f"{session.decision} by rule {session.rule}":
            yield "Rules", line
    if decided:
        found = ", ".join(f"{name} x{count}" for name, count in counts(decided[-1].data.get("findings")))
        yield "Found", found or "nothing"
        yield "Policy", str(decided[-1].data.get("policy", "-"))[:SHORT_DIGEST]


def grant_line(event: Event) -> str:
    """The use of a grant, or what people did about one."""
    data = event.data
    who = event.named("voter") or "somebody whose name is gone"
    said = f", saying: {event.said()}" if event.said() else ""
    match event.kind:
        case "grant.used":
            return f"let through under {data.get('grant')}, use {data.get('number')} of {data.get('uses')}"
        case "grant.voted":
            return f"{data.get('grant')}: vote for, by {who}{said}"
        case "grant.revoked":
            return f"{data.get('grant')}: revoked by {who}{said}"
        case "grant.proposed":
            return f"{data.get('grant')}: proposed for {data.get('uses')} uses until {data.get('until')}"
        case _:
            return f"{data.get('grant')}: in force"


def _hold(session: sessions_pb2.Session, story: Story, now: datetime) -> Facts:
    opened = story.first("hold.opened", "hold.attached")
    if session.hold:
        joined = " of the same request, which was held already" if story.first("hold.attached") else ""
        yield "Hold", f"{session.hold}{joined}"
    for vote in story.all("hold.voted", "hold.break_glass"):
        yield "Vote", f"{vote_line(vote)}, {moment(vote.at, now=now)}"
    for act in story.all(*ACTS):
        yield "Then", f"{act_line(act)}, {moment(act.at, now=now)}"
    for event in story.all(*GRANTS):
        yield "Grant", f"{grant_line(event)}, {moment(event.at, now=now)}"
    ends = story.all(*_HOLD_ENDS)
    if ends:  # the last: an approval may have been taken back
        yield "Outcome", _HOLD_ENDS[ends[-1].kind]
    over = story.first("request.released", "request.refused", "exchange.ended", "exchange.recovered")
    if opened is not None and over is not None:
        yield "Waited", span(over.at - opened.at)


def _end(story: Story) -> Facts:
    for event in story.all("request.refused", "answer.refused"):
        side = "request" if event.kind.startswith("request") else "answer"
        status = f", status {event.data['status']}" if "status" in event.data else ""
        yield "Refused", f"the {side}: {event.data.get('code', '-')}{status}"
    for event in story.all("request.refused_again"):
        yield (
            "And then",
            f"{event.data.get('count', '-')} more like it were refused within a minute, and counted",
        )
    for event in story.all("session.killed"):
        reason = f", saying: {event.said()}" if event.said() else ""
        yield "Killed", f"by {event.done_by('operator') or 'an operator'}{reason}"
    if story.first("exchange.recovered"):
        yield "Note", "the process died with it: what is on record was released, and the rest is not known"


def _answer(session: sessions_pb2.Session, story: Story) -> Facts:
    started, asked = story.first("answer.started"), story.first("request.released")
    pieces = story.pieces
    if started is not None:
        line = f"status {started.data.get('status', '-')}"
        if pieces:
            line += f", {len(pieces)} piece{'s' if len(pieces) > 1 else ''}"
            line += f", the first after {span(pieces[0].at - asked.at)}" if asked is not None else ""
            line += f", over {span(pieces[-1].at - pieces[0].at)}"
        yield "Answer", line
    for event in story.all("answer.decided"):
        yield "Judged", f"the answer: {decision_line(event)}"
    masked = ", ".join(f"{name} x{count}" for name, count in counts(story.masked))
    if masked:
        yield "Masked", f"{masked} in the answer"
    restored = ", ".join(f"{name} x{count}" for name, count in counts(story.restored))
    if restored:
        yield "Restored", f"{restored} in the answer"
    if session.HasField("prompt_tokens") or session.HasField("completion_tokens"):
        yield "Tokens", f"{session.prompt_tokens} in, {session.completion_tokens} out"
