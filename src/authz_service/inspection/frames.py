"""The queue of an answer's frames: each is released, in order, once all its text is settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.framing.json_edit import edit_json, replace_string
from authz_service.inspection.across import Across
from authz_service.inspection.channel import Channel
from authz_service.inspection.complete import CompleteTexts, edits_of
from authz_service.inspection.echoes import outermost
from authz_service.inspection.likeness import Likeness
from authz_service.inspection.pieces import HeldFrame, Run, shadowed_by
from authz_service.inspection.repetition import Repetition
from authz_service.inspection.results import AnswerStep
from authz_service.inspection.tally import Tally
from authz_service.masking.seams import Scanner
from authz_service.masking.stream import MOST_HELD
from authz_service.model_apis.base import AnswerReader
from authz_service.view.answer import AnswerField, AnswerFrame, Usage
from authz_service.view.kept import Kept
from authz_service.view.request import TextKind

MOST_CHANNELS = 10_000
"""Texts of one answer that may be under way at a time; each has a scanner of its own."""

MOST_OVERTAKEN = 256
"""Frames that may be overtaken at a time; each is looked at again whenever a frame comes."""

MOST_UNNAMED = 128
"""Events whose text in a key that nobody named waits for what follows: in pieces of two, long values fit."""

LONGEST_UNNAMED = 8192
"""Characters of such a text that wait, in any number of events."""


class Frames(Protocol):
    """What takes the frames of an answer; see `FrameQueue`."""

    def put(
        self,
        raw: bytes,
        json: bytes,
        wrap: Callable[[bytes], bytes],
        *,
        is_plain: bool = True,
        is_only: bool = False,
    ) -> None:
        """A frame with a document."""
        ...

    def put_again(self, raws: Sequence[bytes], first: int) -> int:
        """How many of these frames it took from `first` on without one being read."""
        ...

    def put_unread(self, raw: bytes) -> None:
        """Bytes that carry no text."""
        ...

    def end(self) -> None:
        """No text follows."""
        ...

    def step(self, *, is_last: bool) -> AnswerStep:
        """What is new since the last step."""
        ...


class FrameQueue:
    """Frames in, bytes out. What no mask touches goes out with its own bytes.

    Raises `Unreadable` (502) for a frame that cannot be read, for a key that would have to be masked
    (`unmaskable`: editing keys could make two of them one), and when more than `max_held` bytes or
    `MOST_CHANNELS` texts wait.
    """

    def __init__(
        self,
        *,
        reader: AnswerReader,
        scanner: Scanner,
        masked_entities: frozenset[str],
        max_held: int,
        max_depth: int,
        arguments: Scanner | None = None,
    ) -> None:
        """`arguments` is the scanner of what tools are called with, where that is another."""
        self._reader = reader
        self._scanner = scanner
        self._arguments = arguments or scanner
        self._entities = masked_entities
        self._max_held = max_held
        self._max_depth = max_depth
        self._channels: dict[str, Channel] = {}
        self._unread: dict[str, Channel] = {}
        self._is_overtaking = False
        self._queue: deque[HeldFrame] = deque()
        self._held = 0
        self._released: list[bytes] = []
        self._found = Tally()
        self._masked = Tally()
        self._usage: Usage | None = None
        self._kept: tuple[Kept, ...] = ()
        self._across = Across()
        self._texts = CompleteTexts(
            scanner, masked_entities, found=self._found, masked=self._masked, arguments=self._arguments
        )
        self._last = Repetition(self._texts.has_none)

    def put(
        self,
        raw: bytes,
        json: bytes,
        wrap: Callable[[bytes], bytes],
        *,
        is_plain: bool = True,
        is_only: bool = False,
    ) -> None:
        """Queue a frame with a document. Unless it is plain, it goes out as `wrap` makes it.

        With `is_only` the answer has no other.
        """
        frame = self._reader.read(self._read(json))
        held = HeldFrame(raw if is_plain else wrap(json), json, wrap, closes=frame.closes)
        piece = self._take(frame, held, is_complete=is_only and _share_no_channel(frame.fields))
        for path in frame.cleared:
            held.edits[path] = None
        for name in frame.ended:
            if channel := self._channels.pop(name, None):
                channel.finish()
        for name in frame.paused:
            if channel := self._channels.get(name):
                channel.pause()
                self._is_overtaking = True
        self._usage = frame.usage or self._usage
        if frame.kept:
            self._kept += frame.kept
        if piece is not None and not held.edits:
            self._last.learn(held.raw, json, wrap, piece, frame.varies)
        else:
            self._last.forget()
        self._push(held)

    def put_again(self, raws: Sequence[bytes], first: int) -> int:
        """Queue those from `first` on that are the last one with other texts; how many these are."""
        texts, known = self._last.texts(raws, first), self._last.likeness
        if not texts or known is None:
            return 0
        if len(texts) == 1:
            self._put(known, raws[first], texts[0])
            return 1
        field = known.field
        run = Run(raws[first : first + len(texts)], texts, partial(_again, known), known.shadows)
        held = run.frame()
        # Frames that overtake others do so one by one, and one by one they may be too many.
        if self._is_overtaking or self._held + len(held.raw) > self._max_held:
            for raw, text in zip(run.raws, texts, strict=True):
                self._put(known, raw, text)
        else:
            channel = self._channels[field.channel]  # which is in the part of the last frame
            channel.feed_run(run, field.path, held)
            self._unread[field.channel] = channel
            self._push(held)
        return len(texts)

    def _put(self, known: Likeness, raw: bytes, text: str) -> None:
        held, field = _again(known, raw), known.field
        self._channels[field.channel].feed(text, field.path, held, shadowed_by(known.shadows, text))
        self._unread[field.channel] = self._channels[field.channel]
        self._push(held)

    def put_unread(self, raw: bytes) -> None:
        """Queue bytes that carry no text."""
        self._push(HeldFrame(raw, b"", bytes))

    def end(self) -> None:
        """No text follows on any channel."""
        self._last.forget()
        for channel in self._channels.values():
            channel.finish()
        self._channels.clear()
        self._drain()

    def step(self, *, is_last: bool) -> AnswerStep:
        """What was released, found and masked since the last step."""
        self._read_on()
        released = b"".join(self._released)
        self._released.clear()
        step = AnswerStep(released, self._found.take(), self._masked.take(), self._usage, is_last)
        if not self._kept:
            return step
        kept, self._kept = self._kept, ()
        return step._replace(kept=kept)

    def _read(self, json: bytes) -> object:
        try:
            return read_json(json, max_depth=self._max_depth)
        except Unreadable as e:
            raise Unreadable(f"the answer: {e}", code=e.code, status=502) from e

    def _take(self, frame: AnswerFrame, held: HeldFrame, *, is_complete: bool) -> AnswerField | None:
        """Take a frame's texts; the only piece of one that repeats, where no other text has a finding."""
        pieces: list[AnswerField] = []
        repeats, varying = frame.repeats, {path for path, _ in frame.varies} if frame.varies else ()
        for field in frame.fields:
            if field.is_key:
                self._texts.check_key(field.text)
                repeats = False
            elif field.part and field.is_whole:
                self._tell_again(field, held)
                repeats = False
            elif is_complete or field.is_whole or (field.is_unnamed and self._is_alone(field)):
                if self._texts.is_harmless(field):
                    continue
                edits = self._texts.edits(field)
                if edits is not None:
                    held.edits |= edits
                repeats = repeats and (
                    self._texts.is_harmless(field)
                    or (field.path in varying and self._texts.has_none(field.text))
                )
            else:
                self._feed(self._channel(field), field.text, field, held)
                pieces.append(field)
        return pieces[0] if repeats and len(pieces) == 1 else None

    def _is_alone(self, field: AnswerField) -> bool:
        """Whether a text that nobody named is so long that its channel could not hold it back.

        The text before it is over where it has held back too much: a counter or a word in each event could
        go on to be a value for ever.
        """
        is_alone = len(field.text) > MOST_HELD - LONGEST_UNNAMED
        channel = self._channels.get(field.channel)
        if channel is not None and (is_alone or channel.holds(MOST_UNNAMED, LONGEST_UNNAMED)):
            channel.finish()
            self._unread.pop(field.channel, None)
            del self._channels[field.channel]
        return is_alone

    def _tell_again(self, field: AnswerField, held: HeldFrame) -> None:
        """Take a part that was told before; what is found across parts is known at its release."""
        cuts = self._texts.cuts(field)
        held.retold = (*held.retold, (field, cuts))
        if cuts:
            held.edits |= edits_of(field, cuts)

    def _channel(self, field: AnswerField) -> Channel:
        channel = self._channels.get(field.channel)
        if channel is not None:
            return channel
        if len(self._channels) >= MOST_CHANNELS:
            raise Unreadable(
                f"the answer has more than {MOST_CHANNELS} texts that go on",
                code="buffer_overflow",
                status=502,
            )
        channel = self._channels[field.channel] = Channel(
            self._scanner if field.kind is TextKind.PLAIN else self._arguments,
            field.kind,
            self._entities,
            found=self._found,
            masked=self._masked,
            across=self._across,
            name=field.channel,
        )
        return channel

    def _feed(self, channel: Channel, text: str, field: AnswerField, held: HeldFrame) -> None:
        if field.part:
            channel.begin(field.part)
        channel.feed(text, field.path, held, field.echoes)
        self._unread[field.channel] = channel

    def _push(self, held: HeldFrame) -> None:
        if not (held.open or self._queue):
            self._released.append(self._written(held))
            return
        self._queue.append(held)
        self._held += len(held.raw)
        # While frames overtake others each is looked at as it comes: else their order would depend on which
        # of them came together more than docs/decisions/0002 says.
        if self._is_overtaking or self._held > self._max_held:
            self._read_on()
        if self._held > self._max_held:
            raise Unreadable(
                f"more than {self._max_held} bytes of the answer wait for the end of what may be a finding",
                code="buffer_overflow",
                status=502,
            )

    def _read_on(self) -> None:
        """Scan what the channels were fed, and release what that settles."""
        for channel in self._unread.values():
            channel.read()
        self._unread.clear()
        self._drain()

    def _drain(self) -> None:
        """Release what is settled, in order, but for frames that may be overtaken."""
        while self._queue and not self._queue[0].open:
            self._release(self._next())
        if self._is_overtaking:
            self._overtake()

    def _next(self) -> HeldFrame:
        """The first of the queue; what was parted from it is the first then."""
        held = self._queue.popleft()
        if held.rest is not None:
            self._queue.appendleft(held.rest)
            held.rest = None
        return held

    def _overtake(self) -> None:
        """Let what is settled pass what may be overtaken, and wait there.

        What says that a choice has finished stays behind all words before it.
        """
        waiting: list[HeldFrame] = []
        while self._queue:
            held = self._queue[0]
            if held.open:
                if not held.may_be_overtaken or len(waiting) >= MOST_OVERTAKEN:
                    break
                waiting.append(self._next())
            elif waiting and held.closes:
                break
            else:
                self._release(self._next())
        self._queue.extendleft(reversed(waiting))
        self._is_overtaking = bool(self._queue)

    def _release(self, held: HeldFrame) -> None:
        self._held -= len(held.raw)
        self._released.append(self._written(held))

    def _written(self, held: HeldFrame) -> bytes:
        """Its bytes. All that was said before is settled, and with it what crosses the parts told again."""
        for field, own in held.retold:
            cuts = self._across.cuts(field.part, field.text, own)
            if cuts is not None:
                held.edits |= edits_of(field, cuts)
        if not held.edits:
            return held.raw
        if held.gap is not None and len(held.edits) == 1:  # and nothing that shadows it
            (text,) = held.edits.values()
            return held.wrap(replace_string(held.json, held.gap, text or ""))
        return held.wrap(edit_json(held.json, outermost(held.edits)))


def _again(known: Likeness, raw: bytes) -> HeldFrame:
    return HeldFrame(raw, known.document(raw), known.wrap, gap=known.gap(raw))


def _share_no_channel(fields: Sequence[AnswerField]) -> bool:
    channels = [field.channel for field in fields if not field.is_whole]
    return len(set(channels)) == len(channels)
