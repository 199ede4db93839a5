"""What conditions look at of a caller, as digests: whether it is still the same, not what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from typing import Any, Final

from authz_service.view.caller import Caller

_CALLER: Final = "caller."
_CLAIMS: Final = "claims."
ANY_CLAIM: Final = "caller.claims.*"
"""Read by a condition that does not name the claims that it looks at."""

CallerFacts = tuple[tuple[str, str], ...]
"""Fields of a caller (`groups`, `claims.dept`), each with the SHA-256 (hex) of its value, by name."""


def caller_facts(caller: Caller, reads: Collection[str]) -> CallerFacts:
    """What `reads` names of the caller, in the form of `Condition.reads`; nothing of anybody else."""
    names = {name.removeprefix(_CALLER) for name in reads if name.startswith(_CALLER)}
    return tuple((name, _digest(_value(caller, name))) for name in sorted(names - {"claims"}))


def are_still_true(facts: Iterable[tuple[str, str]], caller: Caller) -> bool:
    """Whether each of these is of this caller what it was."""
    return all(_digest(_value(caller, name)) == digest for name, digest in facts)


def _value(caller: Caller, name: str) -> Any:
    match name:
        case "subject":
            return caller.subject
        case "issuer":
            return caller.issuer
        case "person":
            return caller.person or ""
        case "groups":
            return [sorted(set(caller.groups)), caller.groups_complete]
        case "groups_complete":
            return caller.groups_complete
        case _:
            claim = name.removeprefix(_CLAIMS)
            return [caller.claims[claim]] if claim in caller.claims else []


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
