"""Times, people, keys and stages in the form that columns and entries have them."""

from __future__ import annotations

import hashlib
import json

from authz_service.core.holds import StageRef


def micro(seconds: float) -> int:
    """Seconds as microseconds."""
    return round(seconds * 1_000_000)


def seconds(micro: int) -> float:
    """Microseconds as seconds."""
    return micro / 1_000_000


def identity_text(identity: tuple[str, str]) -> str:
    """A person's identity as one column; ASCII JSON, so that no two share it."""
    return json.dumps(identity)


def key_text(idempotency_key: str) -> str:
    """An idempotency key as one column, whatever its length and characters."""
    return hashlib.sha256(json.dumps(idempotency_key).encode()).hexdigest()


def stage_text(ref: StageRef) -> str:
    """A stage as entries name it: `security/0`, `security/0/escalated`."""
    return f"{ref.approval}/{ref.stage}" + ("/escalated" if ref.is_escalated else "")


def read_stage(text: str) -> StageRef:
    """The inverse of `stage_text`; no name of an approval has a slash."""
    approval, stage, *more = text.split("/")
    if more not in ([], ["escalated"]):
        raise ValueError("this names no stage")
    return StageRef(approval, int(stage), bool(more))
