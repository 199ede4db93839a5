"""OpenAI's speech to text (POST /v1/audio/transcriptions, /translations), as its servers speak it."""

from __future__ import annotations

from authz_service.framing.encoding import BodyFormat, RequestFormat
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.openai_audio_answer import TranscriptReader
from authz_service.model_apis.openai_audio_request import AudioReader
from authz_service.model_apis.openai_errors import openai_error, openai_error_event
from authz_service.model_apis.own_answer import whole
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView, Role

NAME = "openai_audio"


def _operation(name: str) -> Operation:
    return Operation(api=NAME, name=name, method="POST", path=f"/v1/audio/{name}", takes=RequestFormat.FORM)


TRANSCRIPTIONS = _operation("transcriptions")
TRANSLATIONS = _operation("translations")


class OpenAiAudio:
    """The adapter. The recording is not read; answers are JSON, since plain text, subtitles and streams
    are refused by what the request asks for."""

    name = NAME
    operations: tuple[Operation, ...] = (TRANSCRIPTIONS, TRANSLATIONS)
    noise_roots: frozenset[str] = frozenset()
    answer_formats = frozenset({BodyFormat.JSON})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The form as it is; every field that is not one of the API's words is a text."""
        reader = AudioReader()
        fields = reader.read(document)
        return reader.view(operation, fields, model=reader.model_name(fields), stream=False)

    def model_path(self, operation: Operation) -> Path | None:
        """The field `model`."""
        return ("model",)

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """The prompt, by which the transcript is to go on."""
        return TurnPlaces(texts={"prompt": Role.USER})

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """A reader of the one frame that there is."""
        return TranscriptReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """A transcription."""
        return whole({"text": said.text})

    def error_body(self, error: ApiError) -> bytes:
        """OpenAI's object."""
        return openai_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return openai_error_event(error)
