"""Conceals what waits from those reviewers whom `review.conceal` keeps it from, and takes their edits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from authz_service.core.stored_holds import Hold
from authz_service.errors import Unavailable, Unreadable
from authz_service.inspection.concealed import ConcealedRequest, concealed_request, refused
from authz_service.inspection.concealed_answer import ConcealedAnswer, concealed_answer, put_texts_back
from authz_service.inspection.concealed_edit import beside_concealed, put_back
from authz_service.inspection.edited import differences
from authz_service.inspection.edited_answer import WholeAnswer, changed_texts
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.masking.operators import Masks, by_type
from authz_service.masking.seams import Progress
from authz_service.runtime.revising import answer_of, unknown_request
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads
from authz_service.view.exact import exact_json
from authz_service.view.unread import Unread

Result = TypeVar("Result")

NOT_READ: Final = "(no detector could read what is written here, so it is concealed from you)"
"""In the place of words in which nobody could say what is concealed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A hold whose `forward` is what somebody sees of it. `counts` are the placeholders in that, by type."""

    hold: Hold
    counts: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Concealing:
    """By the detectors in force. Whatever cannot be concealed raises `Unreadable` (`not_concealable`), also
    where a detector fails: nothing is shown then."""

    rules: Callable[[], Rules]
    threads: Threads

    async def seen(self, hold: Hold, entities: frozenset[str]) -> Seen:
        """The hold without the values of `entities`."""
        return await self._run(partial(_seen, self.rules(), hold, entities), len(hold.forward))

    async def words(self, texts: Sequence[str], entities: frozenset[str]) -> list[str]:
        """What people have written, with `[TYPE]` for values of `entities`, whatever stands before them.

        `NOT_READ` stands for a text that cannot be read: what was committed before is told all the same.
        """
        if not any(texts):
            return list(texts)
        work = partial(_words, self.rules(), texts, entities)
        return await self._run(work, sum(map(len, texts)))

    async def body(self, hold: Hold, body: bytes, entities: frozenset[str]) -> bytes:
        """An edited request with what is concealed from its editor put back; raises `Unreadable`
        (`edit_concealed`) where they edited that, or added values of `entities`."""
        return await self._run(partial(_body, self.rules(), hold, body, entities), len(hold.forward))

    async def texts(self, hold: Hold, texts: Mapping[str, str], entities: frozenset[str]) -> dict[str, str]:
        """The same of the texts of an answer."""
        return await self._run(partial(_texts, self.rules(), hold, texts, entities), len(hold.forward))

    async def require_same(self, before: Hold, after: Hold, entities: frozenset[str]) -> None:
        """Raises `Unreadable` (`edit_concealed`) unless the same is concealed in both, in the same texts."""
        work = partial(_require_same, self.rules(), before, after, entities)
        await self._run(work, len(before.forward))

    async def changes(self, before: Hold, after: Hold) -> bytes:
        """What is different in a hold of which both are what somebody sees, as it is recorded of edits."""
        return await self._run(partial(_changes, self.rules(), before, after), len(before.forward))

    async def _run(self, work: Callable[[], Result], size: int) -> Result:
        return await self.threads.run(work, size=size, by_presidio=self.rules().asks_presidio)


def _request(rules: Rules, hold: Hold, body: bytes, entities: frozenset[str]) -> ConcealedRequest:
    return _or_refused(
        partial(concealed_request, hold.api, hold.operation, body, rules.request_scanner, entities)
    )


def _answer(rules: Rules, hold: Hold, entities: frozenset[str]) -> ConcealedAnswer:
    is_error = hold.answer is not None and hold.answer.status >= 400
    whole = _whole(rules, hold)
    return _or_refused(partial(concealed_answer, whole, rules.request_scanner, entities, is_error=is_error))


def _or_refused(work: Callable[[], Result]) -> Result:
    """Whoever looks cannot see what is not read, whatever it is that cannot be read."""
    try:
        return work()
    except Unreadable as error:
        if error.code == "not_concealable":
            raise
        raise refused("it cannot be read") from error
    except Unavailable as error:
        raise refused("a detector failed") from error
    except (LookupError, TypeError, ValueError) as error:  # an edit that would not happen shows its secret
        raise refused("it cannot be read") from error


def _whole(rules: Rules, hold: Hold) -> WholeAnswer:
    return answer_of(rules, hold, unknown_request(hold))


def _seen(rules: Rules, hold: Hold, entities: frozenset[str]) -> Seen:
    if hold.answer is not None:
        answer = _answer(rules, hold, entities)
        return Seen(replace(hold, forward=answer.shown), answer.counts)
    request = _request(rules, hold, hold.forward, entities)
    return Seen(replace(hold, forward=request.shown), request.counts, request.unread)


def _words(rules: Rules, texts: Iterable[str], entities: frozenset[str]) -> list[str]:
    masks = Masks(dict.fromkeys(entities, by_type))
    return [_told(rules, text, masks) for text in texts]


def _told(rules: Rules, text: str, masks: Masks) -> str:
    try:
        return _masked(rules, text, masks)
    except (Unavailable, Unreadable):
        return NOT_READ


def _masked(rules: Rules, text: str, masks: Masks) -> str:
    findings = (*rules.request_scanner.scan(text), *rules.words_scanner.scan(text)) if text else ()
    return mask(text, SpanMerger(masks).take(Progress(findings, len(text)))) if findings else text


def _body(rules: Rules, hold: Hold, body: bytes, entities: frozenset[str]) -> bytes:
    if hold.answer is not None:
        return body  # which is refused by whoever edits it
    before = _request(rules, hold, hold.forward, entities)
    after = put_back(before, hold.forward, body)
    try:
        again = concealed_request(hold.api, hold.operation, after, rules.request_scanner, entities)
    except Unreadable as error:
        raise _not_the_same() from error
    if again.beside != before.beside:
        raise beside_concealed()
    if exact_json(again.shown) != exact_json(body) or again.values != before.values:
        raise _not_the_same()
    return after


def _texts(rules: Rules, hold: Hold, texts: Mapping[str, str], entities: frozenset[str]) -> dict[str, str]:
    if hold.answer is None:
        return dict(texts)
    return put_texts_back(_answer(rules, hold, entities), _whole(rules, hold), texts)


def _require_same(rules: Rules, before: Hold, after: Hold, entities: frozenset[str]) -> None:
    if before.answer is None:
        old, new = (_request(rules, h, h.forward, entities).values for h in (before, after))
        if old != new:
            raise _not_the_same()
        return
    if _answered(rules, before, entities) != _answered(rules, after, entities):
        raise _not_the_same()


def _answered(rules: Rules, hold: Hold, entities: frozenset[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """What is concealed in each text of an answer that can be edited."""
    concealed, whole = _answer(rules, hold, entities), _whole(rules, hold)
    shown = replace(whole, body=concealed.shown).texts()
    pairs = ((name, concealed.text(true, shown.get(name, ""))) for name, true in whole.texts().items())
    return {name: ((("", ""),) if text is None else text.values) for name, text in pairs}


def _changes(rules: Rules, before: Hold, after: Hold) -> bytes:
    if before.answer is None:
        return differences(before.forward, after.forward)
    return changed_texts(_whole(rules, before).texts(), _whole(rules, after).texts())


def _not_the_same() -> Unreadable:
    message = (
        "with this edit something else would be concealed from you than before: write no values of the types "
        "that are concealed, and leave the words beside placeholders as they are"
    )
    return Unreadable(message, code="edit_concealed")
