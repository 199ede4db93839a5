"""The engine's words to ours: where an expression is wrong, and why an evaluation failed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Final

from authz_service.policy.conditions import Failed, TextFault

_LOCATED: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_UNKNOWN_FIELD: Final = re.compile(r"undefined field '(\w+)' not found in struct")
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


def compile_faults(message: str, known: Collection[str] = ()) -> tuple[TextFault, ...]:
    """The faults in the message of a refused compilation; at least one.

    `known` are the names of all fields, for guessing which one a misspelt one was meant to be.
    """
    faults = [
        TextFault(max(1, int(line)), max(1, int(column)), _cleaned(text, known))
        for line, column, text in _LOCATED.findall(message)
        if "'*error*'" not in text  # follows from the fault before it
    ]
    if faults:
        return tuple(dict.fromkeys(faults))
    first_line = message.splitlines()[0] if message else "the condition is not valid"
    return (TextFault(1, 1, _cleaned(_STATUS.sub("", first_line), known)),)


def failure(status: str) -> Failed:
    """An evaluation error without its values: the engine quotes keys, indexes and texts in it."""
    return next((failed for beginning, failed in _FAILURES if status.startswith(beginning)), UNKNOWN)


def _cleaned(text: str, known: Collection[str]) -> str:
    unknown = _UNKNOWN_FIELD.match(text)
    if unknown is not None:
        name = unknown.group(1)
        close = difflib.get_close_matches(name, known, n=1)
        return f"unknown field {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    return re.sub(r" \[[A-Z_]+\]$", "", text).removesuffix(" (in container '')")
