"""An edit of what is held."""

from __future__ import annotations

from typing import Any

from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.holds import StageRef
from authz_service.core.stored_holds import HoldSummary

ALL = (StageRef("security", 0),)


def edit(hold: HoldSummary, body: bytes = b"edited", editor: str = "eda", **changes: Any) -> ActDraft:
    who = ("https://issuer.example", editor)
    answer = changes.pop("answer", None)
    kind = changes.pop("kind", ActKind.RESPOND if answer else ActKind.EDIT)
    shown = changes.pop("shown", hold.digest)
    asked = changes.pop("asked", "")
    stages = changes.pop("stages", ALL)
    revision = Revision(shown, body, {"IBAN_CODE": 1}, stages, b"[]", answer, asked)
    key = changes.pop("key", "")
    return ActDraft(hold.id, kind, who, who, editor.title(), "because", key, revision)
