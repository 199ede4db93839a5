"""What inspecting a body yields: what was found, and what may go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from authz_service.masking.placeholders import Placeholders
from authz_service.model_apis.base import Operation
from authz_service.view.answer import Usage
from authz_service.view.kept import Kept
from authz_service.view.request import Path, RequestView

Made = bytes | Callable[[], bytes]
"""Bytes, or how to make them: what an allowed request needs none of is made when somebody asks."""
Canonical = Callable[[Collection[Path]], bytes]
"""Makes the canonical form of a body in which the texts at some paths are empty."""


@dataclass(frozen=True, slots=True)
class RequestInspection:
    """A request that was read. `findings` counts each entity type over all texts, `masked` placeholders.

    `forward` are the bytes for the model: those received, byte for byte, but for masked spans and the
    model's name where an alias was asked for. `view` names the model by its own name, whatever alias
    was asked for. `placeholders` are those in `forward` that the answer's reader restores, if any.
    """

    operation: Operation
    view: RequestView
    findings: Mapping[str, int]
    masked: Mapping[str, int]
    forward: bytes
    _redacted: Made = field(repr=False)
    _fingerprint: bytes | Canonical = field(repr=False)
    _changes: Made = field(repr=False)
    placeholders: Placeholders | None = field(default=None, repr=False)
    _template: bytes | None = field(default=None, repr=False)

    @property
    def redacted(self) -> bytes:
        """The body with every finding masked, whether a mask asks for it or not.

        It is what the record of a denied request keeps.
        """
        return _made(self._redacted)

    @property
    def fingerprint(self) -> bytes:
        """The canonical form of the body without its noise (RFC 8785), for recognising the same request."""
        make = self._fingerprint
        return make if isinstance(make, bytes) else make(())

    @property
    def changes(self) -> bytes:
        """The canonical form of what differs from the body in `forward`.

        With this and the fingerprint the same, `forward` is, but for noise and for how the document is
        written.
        """
        return _made(self._changes)

    @property
    def template(self) -> bytes:
        """As `fingerprint`, of the body with the text of its newest user turn taken out.

        Two requests with the same template have everything else in common: system prompt, earlier turns,
        tools, parameters, and content that is no text.
        """
        if self._template is not None:
            return self._template
        make = self._fingerprint
        if isinstance(make, bytes):
            raise RuntimeError("the template is made before the fingerprint, or never")
        return make([t.path for t in self.view.texts if t.is_of_newest_user_turn])

    def in_full(self, *, with_template: bool = False) -> RequestInspection:
        """The same with everything made: it takes time where the body is large."""
        return replace(
            self,
            _redacted=self.redacted,
            _template=self.template if with_template else self._template,
            _fingerprint=self.fingerprint,
            _changes=self.changes,
        )


def _made(value: Made) -> bytes:
    return value if isinstance(value, bytes) else value()


class AnswerPipe(Protocol):
    """An incremental codec over one answer: any cut of the bytes gives the masking of the whole.

    Both methods raise `Unreadable` (502) for what cannot be read without doubt. The answer ends there:
    what was queued is dropped, nothing raw is flushed, and the pipe takes nothing more.
    """

    def feed(self, data: bytes) -> AnswerStep:
        """Take the next bytes, of any length."""
        ...

    def finish(self) -> AnswerStep:
        """The answer is complete; the step `is_last`."""
        ...


class AnswerStep(NamedTuple):
    """What a piece of an answer settled: `release` may go to the client once recorded and judged.

    `found` counts the findings that this step settled, for each entity type: each is in this step or an
    earlier one when the bytes that it was found in are released. `masked` counts placeholders, and may
    run ahead of `release`. `usage` is what the model server said last. `is_last` when nothing follows.

    `restored` counts the values of the request that stand in `release` where the model said their
    placeholders; `said` is what became `release` so, and None where nothing is restored. What is held
    for people is `said`.

    `kept` is what the model server keeps, of which frames up to here have told the names.
    """

    release: bytes
    found: Mapping[str, int]
    masked: Mapping[str, int]
    usage: Usage | None = None
    is_last: bool = False
    restored: Mapping[str, int] | None = None
    said: bytes | None = None
    kept: tuple[Kept, ...] = ()
