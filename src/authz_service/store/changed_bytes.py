"""What is said to whoever decides on bytes that do not wait any more."""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.audit.entry import rfc3339
from authz_service.core.acts import Act, ActKind
from authz_service.errors import Conflict
from authz_service.store.column_texts import micro


def digest_changed(acts: Sequence[Act]) -> Conflict:
    """Who changed what waits, and when, if somebody did; `acts` are those of the hold, in order."""
    said = "what waits is not what you were shown"
    last = next((act for act in reversed(acts) if act.revised is not None), None)
    if last is not None:
        did = "answered in the place of the model" if last.kind is ActKind.RESPOND else "edited it"
        said += f": {last.name or last.person[1]} {did} at {rfc3339(micro(last.at))}"
    return Conflict(f"{said}; look at the hold again", code="digest_changed")
