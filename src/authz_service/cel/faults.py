"""The engine's words to ours: where an expression is wrong, and why an evaluation failed."""

from __future__ import annotations

import re
from typing import Final

from authz_service.policy.conditions import Failed, TextFault

_LOCATED: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_STATUS: Final = re.compile(r"^([A-Z_]+): ")

ABSENT: Final = Failed("something that the condition reads is not there")
UNSUITABLE: Final = Failed("a value is not of the kind that the condition needs")
UNKNOWN: Final = Failed("the condition could not be evaluated")

_FAILURES: Final = (
    ("NOT_FOUND:", ABSENT),
    ("INVALID_ARGUMENT:", UNSUITABLE),
    ("UNKNOWN: No matching overloads", UNSUITABLE),
    ("UNKNOWN: Index error", Failed("an index is beyond the end of a list")),
    ("OUT_OF_RANGE:", Failed("a number is out of range")),
    ("INTERNAL: Iteration budget exceeded", Failed("the condition took too many steps")),
)


def compile_faults(message: str) -> tuple[TextFault, ...]:
    """The faults in the message of a refused compilation; at least one."""
    faults = [
        TextFault(max(1, int(line)), max(1, int(column)), _cleaned(text))
        for line, column, text in _LOCATED.findall(message)
        if "'*error*'" not in text  # follows from the fault before it
    ]
    if faults:
        return tuple(dict.fromkeys(faults))
    first_line = message.splitlines()[0] if message else "the condition is not valid"
    return (TextFault(1, 1, _cleaned(_STATUS.sub("", first_line))),)


def failure(status: str) -> Failed:
    """An evaluation error without its values: the engine quotes keys, indexes and texts in it."""
    return next((failed for beginning, failed in _FAILURES if status.startswith(beginning)), UNKNOWN)


def _cleaned(text: str) -> str:
    text = re.sub(r" \[[A-Z_]+\]$", "", text).removesuffix(" (in container '')")
    return re.sub(r"'authz\.rules\.(\w+)'", lambda match: f"'{match.group(1).lower()}'", text)
