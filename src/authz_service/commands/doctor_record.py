"""What `authz doctor` says of the record: whether its checkpoints leave this machine, and arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.model import Config
from authz_service.errors import AuthzError
from authz_service.keys.data_dir import DataDir
from authz_service.keys.log_key import LogKey
from authz_service.store.checkpoint_file import newest

KEY, CHECKPOINTS = "log key", "checkpoints"


def check_record(config: Config, data: DataDir) -> Iterator[Finding]:
    """The key that signs, the newest checkpoint, and how each receiver stands; changes nothing."""
    try:
        if data.log_key.exists():
            yield Finding(KEY, Status.OK, str(LogKey.load_or_create(data.log_key, "").vkey))
        last = newest(data.checkpoints)
    except AuthzError as error:
        yield Finding(KEY, Status.FAIL, str(error), "authz audit verify")
        return
    counted = "none yet" if last is None else f"the newest counts {last.checkpoint.size} entries"
    receivers = config.record.checkpoints.to
    if not receivers:
        message = f"{counted}; none leaves this machine, so its administrator could rewrite the record"
        yield Finding(CHECKPOINTS, Status.WARN, message, "record.checkpoints.to, see docs/record.md")
        return
    yield Finding(CHECKPOINTS, Status.OK, counted)
    standings = _standings(data)
    for name in (receiver.name for receiver in receivers):
        yield _judged(name, standings.get(name))


def _judged(name: str, standing: dict[str, object] | None) -> Finding:
    check = f"{CHECKPOINTS} to {name}"
    if standing is None:
        return Finding(check, Status.OK, "not tried yet")
    if standing["error"]:
        step = "look at the receiver; what it misses is sent when it is back"
        return Finding(check, Status.WARN, f"{standing['error']}, {standing['failures']} times so far", step)
    if not standing["size"]:
        return Finding(check, Status.OK, "nothing was to be delivered yet")
    at = datetime.fromtimestamp(float(str(standing["delivered_at"])), UTC)
    return Finding(check, Status.OK, f"has {standing['size']} entries since {at:%Y-%m-%d %H:%M:%S}Z")


def _standings(data: DataDir) -> dict[str, dict[str, object]]:
    try:
        shown = json.loads(data.checkpoint_receivers.read_bytes())
        return {s["name"]: s for s in shown if s.keys() >= {"error", "failures", "size", "delivered_at"}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
