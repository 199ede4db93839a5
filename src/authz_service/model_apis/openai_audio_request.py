"""Reads a form that asks for a transcript: its fields are texts, its recording is noted as unread."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.framing.multipart import Form, FormPart
from authz_service.model_apis.openai_audio_words import AUDIO_WORDS
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.view.request import Role
from authz_service.view.unread import Kind

_PROMPT = Speaker(Role.USER, new_turn=True)
_FILE = "file"
_NO_TEXT = "a recording is not text, and this gateway judges text only"


class AudioReader(RequestReader):
    """The fields of a form that mean something to the API."""

    def __init__(self) -> None:
        super().__init__(AUDIO_WORDS)

    def read(self, form: object) -> Mapping[str, object]:
        """Everything in document order; the fields by name, lists where a name may come several times."""
        if not isinstance(form, Form):
            self.refuse("invalid_field", (), "a form was expected")
        fields = _fields(form)
        self.expect_object(fields, ())
        if _FILE not in fields:
            self.refuse("invalid_field", (_FILE,), "a file was expected")
        for name, value in fields.items():
            if isinstance(value, FormPart):
                self._recording(value)
            elif name == "prompt":
                self.expect_text(value, (name,), _PROMPT)
            elif name != "model":
                self._check_answer(name, value)
                self.member(name, value, ())
        return {name: value for name, value in fields.items() if not isinstance(value, FormPart)}

    def _recording(self, part: FormPart) -> None:
        if part.name != _FILE:
            self.refuse("unsupported_content", (part.name,), "only the recording may be a file")
        self.leave(Kind.AUDIO, part.data, (_FILE,), _NO_TEXT, declared=_declared(part))
        if part.filename:
            self.add(part.filename, (_FILE, "filename"))

    def _check_answer(self, name: str, value: object) -> None:
        """Only JSON, and whole, can be read on its way back."""
        if name == _FILE:
            self.refuse("invalid_field", (_FILE,), "a file was expected")
        if name in ("response_format", "stream") and not self.words.selects(name, str(value)):
            why = "only json and verbose_json answers, and no streams, can be read by this gateway"
            self.refuse("unsupported_field", (name,), why)


def _fields(form: Form) -> dict[str, object]:
    fields: dict[str, object] = {}
    for part in form.parts:
        if part.filename is not None:
            fields[part.name] = part
        elif part.name.endswith("[]"):
            values = fields.setdefault(part.name, [])
            if isinstance(values, list):
                values.append(part.text)
        else:
            fields[part.name] = part.text
    return fields


def _declared(part: FormPart) -> str:
    """The media type that the part gives; what clients put where they know none says nothing."""
    return "" if part.content_type.lower() == "application/octet-stream" else part.content_type
