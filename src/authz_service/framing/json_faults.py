"""Where in a document a fault stands that only shows in its meaning, for the text of a refusal."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)
_LARGEST = 1 << 18
"""Characters. A refusal must not cost more than reading did, so larger documents go without."""


def locate(code: str, text: str, *, max_depth: int) -> int | None:
    """The character at which the fault `code` begins, or None where the search would be long."""
    if len(text) > _LARGEST:
        return None
    keys: list[set[str] | None] = []
    is_key = False
    for match in _TOKEN.finditer(text):
        match match[0]:
            case "{" | "[" as opening:
                keys.append(set() if opening == "{" else None)
                is_key = opening == "{"
                if code == "too_deep" and len(keys) > max_depth:
                    return match.start()
            case "}" | "]" if keys:
                keys.pop()
                is_key = False
            case ",":
                is_key = bool(keys) and keys[-1] is not None
            case token:
                try:
                    value = json.loads(token)
                except ValueError:  # reading never came as far as here
                    return None
                if code == "lone_surrogate" and _has_lone_surrogate(value):
                    return match.start()
                if is_key and keys and (seen := keys[-1]) is not None:
                    if code == "duplicate_key" and value in seen:
                        return match.start()
                    seen.add(value)
                is_key = False
    return None


def _has_lone_surrogate(value: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in value)
