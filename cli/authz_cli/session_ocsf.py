"""A session as an event of OCSF 1.5, class API Activity (6003), for a SIEM: without prompt and answer."""

from __future__ import annotations

from authz_api.v1 import sessions_pb2
from authz_cli.hold_json import Object
from authz_cli.session_story import Story, counts

CLASS, CATEGORY, OTHER = 6003, 6, 99
_ALLOWED, _DENIED = 1, 2
_SUCCESS, _FAILURE = 1, 2
_INFORMATIONAL, _MEDIUM = 1, 3


def ocsf_event(session: sessions_pb2.Session, story: Story) -> Object:
    """Times in milliseconds since the epoch. The activity is Other: to ask a model is none of the four."""
    is_good = session.status == "completed"
    started = session.started_at.ToMilliseconds()
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
        "action_id": _DENIED if session.decision == "deny" else _ALLOWED,
        "message": f"{session.decision} by rule {session.rule}: {session.status}",
        "metadata": {
            "version": "1.5.0",
            "uid": session.id,
            "product": {"name": "authz", "vendor_name": "authz"},
            "profiles": ["security_control"],
        },
        "actor": {"user": _user(session)},
        "api": {
            "operation": f"{session.method} {session.path}",
            "service": {"name": session.model},
            "request": {"uid": session.id},
        },
        "src_endpoint": {"name": "unknown"},
        "http_request": {"http_method": session.method, "url": {"path": session.path}},
        "policy": {"name": session.rule},
        "unmapped": {"findings": _findings(story), "hold": session.hold},
    }
    if session.HasField("ended_at"):
        event["end_time"] = session.ended_at.ToMilliseconds()
    return event


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
