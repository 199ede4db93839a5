"""A held answer as somebody sees it from whom some entity types are concealed, and what they edit in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.concealed import UNREAD, ConcealedText, Hidden
from authz_service.inspection.concealed_edit import LOOKS_LIKE, beside_concealed, put_text_back, require_none
from authz_service.inspection.edited_answer import WholeAnswer
from authz_service.inspection.restored import added
from authz_service.masking.operators import Masks
from authz_service.masking.placeholders import EVERYWHERE, TYPED, TYPED_LABEL, Placeholders, WithTyped
from authz_service.masking.seams import Scanner


@dataclass(frozen=True, slots=True)
class ConcealedAnswer:
    """`shown` instead of the bytes that wait. `counts` are the placeholders of each entity type in it."""

    shown: bytes
    counts: Mapping[str, int]
    labels: frozenset[str]
    _values: Mapping[str, str] = field(repr=False)

    def text(self, true: str, shown: str) -> ConcealedText | None:
        """A text with what is hidden in it; None where the placeholders do not lead from one to the other."""
        hidden: list[Hidden] = []
        at = grown = 0
        for match in LOOKS_LIKE.finditer(shown):
            name, value = match[0], self._values.get(match[0])
            if value is None:
                continue
            at = match.start() - grown
            if true[at : at + len(value)] != value:
                return None
            hidden.append(Hidden(at, at + len(value), name[1:].rpartition("_")[0], name))
            grown += len(name) - len(value)
        found = ConcealedText(true, tuple(hidden))
        return found if found.shown == shown else None


def concealed_answer(
    answer: WholeAnswer, scanner: Scanner, entities: frozenset[str], *, is_error: bool
) -> ConcealedAnswer:
    """`answer` without the values of `entities`; the same value has the same placeholder.

    What the model wrote like one has a placeholder too.

    It is read as it was before it went on record, every string and number of it. Raises `Unreadable` for
    what that does.
    """
    names = Placeholders(dict.fromkeys(entities, EVERYWHERE))
    searched = WithTyped(scanner, (*entities, UNREAD))

    def name(entity: str, value: str) -> str:
        return names.name(entity, value) if value else f"[{entity}]"

    pipe = answer_pipe(
        api=answer.api,
        request=answer.request,
        content_type=answer.content_type,
        scanner=searched,
        masked_entities=Masks(dict.fromkeys((*entities, TYPED), name)),
        max_body=len(answer.body) + 1,
        max_depth=answer.max_depth,
        is_error=is_error,
    )
    first, last = pipe.feed(answer.body), pipe.finish()
    shown, counts = first.release + last.release, added(first.masked, last.masked)
    counts = {TYPED_LABEL if entity == TYPED else entity: count for entity, count in counts.items()}
    if shown != answer.body and not counts:  # log probabilities of a text are taken out as a whole
        counts = {UNREAD: 1}
    values = {name: restorable.value for name, restorable in names.by_name.items()}
    return ConcealedAnswer(shown, counts, entities, values)


def put_texts_back(
    concealed: ConcealedAnswer, answer: WholeAnswer, edited: Mapping[str, str]
) -> dict[str, str]:
    """The texts that `edited` has, by name, with what is concealed in them. Raises as `put_back`."""
    seen = replace(answer, body=concealed.shown)
    true, shown = answer.texts(), seen.texts()
    beside = answer.beside(seen)
    if any(name in beside and text != shown.get(name) for name, text in edited.items()):
        raise beside_concealed()
    return {name: _put_back(concealed, true, shown, name, text) for name, text in edited.items()}


def _put_back(
    concealed: ConcealedAnswer, true: Mapping[str, str], shown: Mapping[str, str], name: str, edited: str
) -> str:
    if name not in true or name not in shown:
        return edited  # which is refused by whoever edits it
    if edited == shown[name]:
        return true[name]
    place = name[:100]
    text = concealed.text(true[name], shown[name])
    if text is None or any(hidden.name in piece for hidden in text.hidden for piece in text.between):
        message = f"what is concealed at {place} cannot be told from what is not: leave it as it is"
        raise Unreadable(message, code="edit_concealed")
    if not text.hidden:
        require_none(edited, concealed.labels, place)
        return edited
    return put_text_back(text, edited, place, concealed.labels)
