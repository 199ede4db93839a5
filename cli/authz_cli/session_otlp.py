"""A session as OpenTelemetry spans, in OTLP's JSON encoding: one request for each session.

The attributes of generative AI are still in development; these are the names of semantic conventions 1.37.
No prompt and no answer is in a span.
"""

from __future__ import annotations

import hashlib

from authz_api.v1 import sessions_pb2
from authz_cli.hold_json import Object
from authz_cli.session_story import Event, Story

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
_SERVER, _INTERNAL = 2, 1
_OK, _ERROR = 1, 2
_WAITS = (
    "hold.approved",
    "hold.rejected",
    "hold.expired",
    "hold.superseded",
    "hold.killed",
    "exchange.ended",
)


def otlp_request(session: sessions_pb2.Session, story: Story) -> Object:
    """An ExportTraceServiceRequest with a span for the exchange, and one for its hold."""
    trace = hashlib.sha256(session.id.encode()).hexdigest()[:32]
    root = hashlib.sha256(f"{session.id}/exchange".encode()).hexdigest()[:16]
    spans = [_exchange(session, story, trace, root), *_hold(session, story, trace, root)]
    scope = {"scope": {"name": "authz"}, "spans": spans, "schemaUrl": SCHEMA}
    resource = {"attributes": [_attribute("service.name", "authz")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope], "schemaUrl": SCHEMA}]}


def _exchange(session: sessions_pb2.Session, story: Story, trace: str, span: str) -> Object:
    is_good = session.status == "completed"
    named: dict[str, str | int] = {
        "gen_ai.operation.name": "chat" if "chat" in session.path else "generate_content",
        "gen_ai.provider.name": session.api.partition(".")[0],
        "gen_ai.request.model": session.model,
        "gen_ai.conversation.id": session.id,
        "http.request.method": session.method,
        "url.path": session.path,
        "enduser.id": session.caller.subject,
        "authz.decision": session.decision,
        "authz.rule": session.rule,
        "authz.status": session.status,
    }
    if session.HasField("prompt_tokens"):
        named["gen_ai.usage.input_tokens"] = session.prompt_tokens
    if session.HasField("completion_tokens"):
        named["gen_ai.usage.output_tokens"] = session.completion_tokens
    if not is_good:
        named["error.type"] = session.status
    return {
        "traceId": trace,
        "spanId": span,
        "name": f"{named['gen_ai.operation.name']} {session.model}".strip(),
        "kind": _SERVER,
        "startTimeUnixNano": str(session.started_at.ToNanoseconds()),
        "endTimeUnixNano": str(
            (session.ended_at if session.HasField("ended_at") else session.started_at).ToNanoseconds()
        ),
        "attributes": [_attribute(name, value) for name, value in named.items() if value != ""],
        "events": [_event(event) for event in story.events],
        "status": {"code": _OK if is_good else _ERROR},
    }


def _hold(session: sessions_pb2.Session, story: Story, trace: str, parent: str) -> list[Object]:
    opened, ended = story.first("hold.opened", "hold.attached"), story.first(*_WAITS)
    if opened is None or ended is None:
        return []
    return [
        {
            "traceId": trace,
            "spanId": hashlib.sha256(f"{session.id}/hold".encode()).hexdigest()[:16],
            "parentSpanId": parent,
            "name": "authz hold",
            "kind": _INTERNAL,
            "startTimeUnixNano": _nanoseconds(opened),
            "endTimeUnixNano": _nanoseconds(ended),
            "attributes": [_attribute("authz.hold", session.hold), _attribute("authz.outcome", ended.kind)],
            "status": {},
        }
    ]


def _event(event: Event) -> Object:
    return {"timeUnixNano": _nanoseconds(event), "name": event.kind}


def _nanoseconds(event: Event) -> str:
    return str(round(event.at.timestamp() * 1_000_000) * 1000)


def _attribute(name: str, value: str | int) -> Object:
    kind = {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}
    return {"key": name, "value": kind}
