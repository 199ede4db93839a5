"""The second half of an answer's pipe: the values of the request, where the model said their placeholders.

It reads what masking has left, as a client would, so no mask or rule sees what is restored here.
"""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.inspection.frames import FrameQueue
from authz_service.inspection.results import AnswerPipe, AnswerStep
from authz_service.masking.placeholders import Place, Placeholders
from authz_service.masking.restoring import restoring_masks, restoring_scanner
from authz_service.model_apis.base import AnswerReader
from authz_service.view.answer import AnswerField, AnswerFrame

GROWTH = 2
"""How many times as long as it came an answer may be when it is masked; a longer one is too large."""


class RestoredPipe:
    """Implements `AnswerPipe`: `masked` reads what the model sends, and `restored` what that lets go on."""

    def __init__(self, masked: AnswerPipe, restored: AnswerPipe) -> None:
        self._masked = masked
        self._restored = restored

    def feed(self, data: bytes) -> AnswerStep:
        """See `AnswerPipe.feed`."""
        said = self._masked.feed(data)
        if not said.release:
            return said._replace(said=b"")
        back = self._restored.feed(said.release)
        return said._replace(release=back.release, restored=back.masked, said=said.release)

    def finish(self) -> AnswerStep:
        """See `AnswerPipe.finish`."""
        said = self._masked.finish()
        back = self._restored.feed(said.release)
        last = self._restored.finish()
        return said._replace(
            release=back.release + last.release,
            restored=added(back.masked, last.masked),
            said=said.release,
        )


def added(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    """Both counts together."""
    if not left or not right:
        return left or right
    return {key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()}


def restoring_queue(
    placeholders: Placeholders, reader: AnswerReader, *, most: int, max_held: int, max_depth: int
) -> FrameQueue:
    """A queue that restores at most `most` characters in the texts that `reader` finds."""
    return FrameQueue(
        reader=_EachPart(reader),
        scanner=restoring_scanner(placeholders, Place.TEXT),
        arguments=restoring_scanner(placeholders, Place.TOOL_ARGUMENTS),
        masked_entities=restoring_masks(placeholders, most=most),
        max_held=max_held,
        max_depth=max_depth,
    )


class _EachPart:
    """Reads each part of a channel as a channel: a placeholder is never made of two parts.

    But a text that nobody named, each piece of which is a part, goes on as one text.
    The names of fields are left out, and stay as the model said them; what is unread is gone already.
    """

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self._parts: dict[str, str] = {}
        """The last part of each channel that has any, as the channel that it is."""

    def read(self, document: object) -> AnswerFrame:
        frame = self._reader.read(document)
        over: list[str] = []
        fields = tuple(self._field(field, over) for field in frame.fields if not field.is_key)
        over += [self._parts.pop(name, name) for name in frame.ended]
        paused = tuple(self._parts.get(name, name) for name in frame.paused)
        return frame._replace(fields=fields, cleared=(), ended=tuple(over), paused=paused)

    def _field(self, field: AnswerField, over: list[str]) -> AnswerField:
        if not field.part:
            return field
        if field.is_unnamed:
            return field._replace(part="")
        before = self._parts.get(field.channel)
        if not field.is_whole:
            if before is not None and before != field.part:
                over.append(before)
            self._parts[field.channel] = field.part
        return field._replace(channel=field.part, part="")
