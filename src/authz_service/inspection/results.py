"""What inspecting a body yields: what was found, and what may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authz_service.model_apis.base import Operation
from authz_service.view.answer import Usage
from authz_service.view.request import RequestView


@dataclass(frozen=True, slots=True)
class RequestInspection:
    """A request that was read. `findings` counts each entity type over all texts, `masked` placeholders.

    `forward` are the bytes for the model: those received, byte for byte, but for masked spans and the
    model's name where an alias was asked for. `redacted` has every finding masked, whether a mask
    asks for it or not: it is what the record of a denied request keeps. `fingerprint` is the
    canonical form of the body without its noise (RFC 8785), for recognising the same request, and
    `changes` that of what differs from it in `forward`: with both the same, `forward` is, but for noise
    and for how the document is written. `view` names the model by its own name, whatever alias was
    asked for.
    """

    operation: Operation
    view: RequestView
    findings: Mapping[str, int]
    masked: Mapping[str, int]
    forward: bytes
    redacted: bytes
    fingerprint: bytes
    changes: bytes


@dataclass(frozen=True, slots=True)
class AnswerStep:
    """What a piece of an answer settled: `release` may go to the client once recorded and judged.

    `found` counts the findings that this step settled, for each entity type: each is in this step or an
    earlier one when the bytes that it was found in are released. `masked` counts placeholders, and may
    run ahead of `release`. `usage` is what the model server said last. `is_last` when nothing follows.
    """

    release: bytes
    found: Mapping[str, int]
    masked: Mapping[str, int]
    usage: Usage | None = None
    is_last: bool = False
