"""How long holds wait, and what makes a request another one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from authz_service.config import scalars
from authz_service.config.model import Holds
from authz_service.config.section import Refused, Section
from authz_service.config.tree import Node

_DAY: Final = 86_400.0


def read_holds(root: Section, noise_roots: Collection[str]) -> Holds:
    """`holds`: how callers wait, and what does not make a request another one."""
    section = root.section_or_empty("holds")
    default = Holds()
    holds = Holds(
        wait=section.optional("wait", scalars.duration(1, _DAY), default.wait),
        use_within=section.optional("use_within", scalars.duration(1, 7 * _DAY), default.use_within),
        pending_per_caller=section.optional(
            "pending_per_caller", scalars.whole_number(1, 10_000), default.pending_per_caller
        ),
        noise=section.optional("noise", scalars.list_of(_noise(noise_roots)), ()),
        claim=section.optional("claim", scalars.duration(1, _DAY), default.claim),
        release_rate=section.optional("release_rate", scalars.whole_number(1, 100_000), default.release_rate),
    )
    section.close()
    return holds


def _noise(roots: Collection[str]) -> Callable[[Node], tuple[str, ...]]:
    """A JSON pointer (RFC 6901) below a key that carries nothing that a model reads."""

    def read(node: Node) -> tuple[str, ...]:
        value = scalars.line(node)
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in value.split("/")[1:])
        if not value.startswith("/") or not all(keys):
            raise Refused(f"must be a path such as /metadata/nonce, found {value!r}")
        if keys[0] not in roots:
            raise Refused(f"only what lies under {', '.join(sorted(roots))} can be noise, found {value!r}")
        return keys

    return read
