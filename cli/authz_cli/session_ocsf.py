"""A session as an event of OCSF 1.5, class API Activity (6003), for a SIEM: without prompt and answer."""

from __future__ import annotations

from authz_api.v1 import sessions_pb2
from authz_cli.hold_json import Object
from authz_cli.session_story import Story, counts

CLASS, CATEGORY, OTHER = 6003, 6, 99
_UNKNOWN, _ALLOWED, _DENIED = 0, 1, 2
_DISPOSITIONS = {_UNKNOWN: 0, _ALLOWED: 1, _DENIED: 2}
"""Unknown, Allowed, Blocked: what came of the action."""
_SUCCESS, _FAILURE = 1, 2
_INFORMATIONAL, _MEDIUM = 1, 3


def ocsf_event(session: sessions_pb2.Session, story: Story) -> Object:
    """Times in milliseconds since the epoch. The activity is Other: to ask a model is none of the four."""
    is_good = session.status == "completed"
    started = session.started_at.ToMilliseconds()
    action = _action(session, story)
    event: Object = {
        "class_uid": CLASS,
        "class_name": "API Activity",
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "activity_id": OTHER,
        "activity_name": "Inference",
        "type_uid": CLASS * 100 + OTHER,
        "type_name": "API Activity: Inference",
        "severity_id": _INFORMATIONAL if is_good else _MEDIUM,
        "time": started,
        "start_time": started,
        "status_id": _SUCCESS if is_good else _FAILURE,
        "status_detail": session.status,
        "action_id": action,
        "disposition_id": _DISPOSITIONS[action],
        "message": f"{session.decision or 'undecided'} by rule {session.rule}: {session.status}",
        "metadata": {
            "version": "1.5.0",
            "uid": session.id,
            "product": {"name": "authz", "vendor_name": "authz"},
            "profiles": ["security_control"],
        },
        "actor": {"user": _user(session)} if session.caller.subject else {"app_name": "unknown"},
        "api": {
            "operation": f"{session.method} {session.path}",
            "request": {"uid": session.id},
        },
        "src_endpoint": {"name": "unknown"},
        "http_request": {"http_method": session.method, "url": {"path": session.path}},
        "unmapped": {"findings": _findings(story), "hold": session.hold},
    }
    if session.model:
        event["api"]["service"] = {"name": session.model}
    if session.rule:
        event["policy"] = {"name": session.rule}
    if session.HasField("ended_at"):
        event["end_time"] = session.ended_at.ToMilliseconds()
    return event


def _action(session: sessions_pb2.Session, story: Story) -> int:
    """Denied whatever was kept from the model, or of the answer; unknown while neither is settled."""
    if session.decision == "deny" or story.first("answer.refused") is not None:
        return _DENIED
    if story.first("request.released") is not None:
        return _ALLOWED
    return _DENIED if session.HasField("ended_at") else _UNKNOWN


def _user(session: sessions_pb2.Session) -> Object:
    caller = session.caller
    groups = [{"name": group} for group in caller.groups]
    return {
        "uid": caller.subject,
        "name": caller.person or caller.subject,
        "domain": caller.issuer,
        "groups": groups,
    }


def _findings(story: Story) -> dict[str, int]:
    decided = story.last("request.decided")
    return dict(counts(decided.data.get("findings"))) if decided is not None else {}
