"""Reads transcripts: their text, and what says it once more in segments and words."""

from __future__ import annotations

from authz_service.model_apis.answer_frame import FrameTexts, openai_usage, unreadable
from authz_service.model_apis.openai_audio_words import AUDIO_WORDS
from authz_service.view.answer import AnswerField, AnswerFrame, Echo

_UNREAD = frozenset(("tokens", "logprobs"))
_PIECES = {"segments": "text", "words": "word"}
"""Lists that tell the text again in pieces, and where a piece has its characters."""


class TranscriptReader:
    """The text is a channel. Pieces are cut where they stand in it: what spans several is found there alone.

    A piece that is not in the text, in its order, ends the answer.
    """

    def read(self, document: object) -> AnswerFrame:
        """The one frame that there is."""
        if not isinstance(document, dict) or not ("text" in document or "error" in document):
            unreadable(AUDIO_WORDS, (), "an object with a text or an error was expected")
        texts = FrameTexts(0, AUDIO_WORDS, _UNREAD)
        text = document.get("text", "")
        if not isinstance(text, str):
            unreadable(AUDIO_WORDS, ("text",), "a string was expected")
        echoes: list[Echo] = []
        for key, value in document.items():
            if key in _PIECES and value is not None:
                echoes += _echoes(text, key, value, texts)
            elif key != "text":
                texts.aside(value, (key,))
        if text:
            texts.fields.insert(0, AnswerField("text", ("text",), text, echoes=tuple(echoes)))
        texts.end("text")
        texts.usage = openai_usage(document.get("usage"))
        texts.closes = True
        return texts.frame()


def _echoes(text: str, key: str, pieces: object, texts: FrameTexts) -> list[Echo]:
    """The place of each piece in the text; what else it says is read beside it.

    Servers begin a segment with a space that the text may not have. It is lost where the piece is cut.
    """
    if not isinstance(pieces, list):
        unreadable(AUDIO_WORDS, (key,), "a list was expected")
    echoes: list[Echo] = []
    at = 0
    for i, item in enumerate(pieces):
        said = item.get(_PIECES[key]) if isinstance(item, dict) else None
        start = text.find(said.strip(), at) if isinstance(said, str) else -1
        if not isinstance(said, str) or start < 0:
            unreadable(AUDIO_WORDS, (key, i), "a piece of the text was expected, in its order")
        at = start + len(said.strip())
        echoes.append(Echo(start, at, (key, i, _PIECES[key])))
        for name, value in item.items():
            if name != _PIECES[key]:
                texts.aside(value, (key, i, name))
    return echoes
