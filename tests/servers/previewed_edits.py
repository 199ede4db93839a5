"""A reviser that says what an edit would change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.servers.stored_review import OnceOnly

from authz_service.core.acts import AnswerHead
from authz_service.core.stored_holds import Hold
from authz_service.runtime.revising import Revised, Revising

CHANGES = [
    {"path": ["messages", 0, "a/b"], "before": "x", "after": "y"},
    {"path": ["n"], "before": None, "after": {"a": [1]}},
    {"path": ["seed"], "after": 7},
]


class Edits(OnceOnly):
    """Every edit changes the same; as the real one, of what is on record."""

    def __init__(self) -> None:
        self.store: Any = None

    async def changes(self, hold: Hold) -> Mapping[str, bytes | str]:
        unasked: Any = None
        return await Revising(unasked, unasked, unasked, self.store.entries).changes(hold)

    def _made(self, hold: Hold, body: bytes, answer: AnswerHead | None) -> Revised:
        return Revised(body, {}, json.dumps(CHANGES).encode(), answer)
