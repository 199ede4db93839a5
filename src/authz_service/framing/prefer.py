"""What a caller says about waiting: the `Prefer` header (RFC 7240)."""

from __future__ import annotations

import re

from authz_service.values import value

LONGEST_HEADER = 1024
"""Characters; what stands beyond is not read."""
LONGEST_WAIT = 3600
"""Seconds. The routes of Envoy's file idle longer, or it would end who waits."""

# A quoted string counts as one piece: it may have commas and semicolons in it (RFC 9110 5.6.4).
_PREFERENCES = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_NAME_AND_VALUE = re.compile(
    r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s;]*)))?\s*(?:;|$)'
)


@value
class Prefer:
    """`wait` is in seconds, None where nothing is said; `is_async` answers at once, or after `wait`."""

    wait: int | None = None
    is_async: bool = False

    @property
    def applied(self) -> str:
        """What `Preference-Applied` says (RFC 7240 3); empty where nothing was preferred."""
        said = ["respond-async"] if self.is_async else []
        if self.wait is not None:
            said.append(f"wait={self.wait}")
        return ", ".join(said)


NOTHING_PREFERRED = Prefer()


def read_prefer(header: str) -> Prefer:
    """`respond-async` and `wait=N` of a header; what is unknown or cannot be read is ignored (RFC 7240 2).

    Of a preference that is stated twice the first counts. Who would wait longer than an hour waits that long.
    """
    wait: int | None = None
    seen: set[str] = set()
    for preference in _PREFERENCES.findall(header[:LONGEST_HEADER]):
        match = _NAME_AND_VALUE.match(preference)
        if match is None or (name := match[1].lower()) in seen:
            continue
        seen.add(name)
        text = match[2] or match[3] or ""
        if name == "wait" and re.fullmatch(r"[0-9]{1,9}", text):
            wait = min(int(text), LONGEST_WAIT)
    return Prefer(wait, "respond-async" in seen)
